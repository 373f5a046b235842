"""What a run published and to whom: lists computed → produced → loaded → readable, share, arms, control."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from conf.share import Share
from jobs.pages.report.documents import Known, RunDocuments
from jobs.pages.report.drawings import bar
from jobs.pages.report.words import moment, number, size
from models.pages import MISSING

_STEPS = (
    ("computed", "publish", "lists in the run's snapshot"),
    ("produced", "publish", "records that Kafka has acknowledged"),
    ("loaded", "serve", "lists that loaders wrote into Redis"),
    ("readable", "serve", "lists that were read back as announced"),
)
"""Count, the stage that knows it, and what it is."""


@dataclass(frozen=True)
class Step:
    """One step of the lists on their way."""

    name: str
    what: str
    count: int | None
    drawn: Markup


@dataclass(frozen=True)
class Published:
    """How far the lists came, and who gets them."""

    steps: Sequence[Step]
    facts: Sequence[tuple[str, str]]
    share: str | None
    """Share of the audience that was served when it went live, or that the run covers."""
    lost: int | None
    """Lists that were computed and cannot be read; None while it is not known."""


def published_of(run: RunDocuments) -> Published:
    """Returns what the run published."""
    counts = {name: run.fact(stage, "counts", name).count for name, stage, _ in _STEPS}
    most = max((count for count in counts.values() if count is not None), default=0)
    steps = [Step(name, what, counts[name], _drawn(name, counts[name], most)) for name, _, what in _STEPS]
    computed, readable = counts["computed"], counts["readable"]
    lost = None if computed is None or readable is None else computed - readable
    share = share_text(run.fact("serve", "share_bp")) or share_text(run.manifest.at("request", "share_bp"))
    return Published(steps, tuple(_facts(run)), share, lost)


def share_text(value: Known) -> str | None:
    """Returns a share of the audience that a document holds in basis points."""
    count = value.count
    return str(Share(count)) if count is not None and 0 <= count <= 10_000 else None


def _drawn(name: str, count: int | None, most: int) -> Markup:
    return Markup("") if count is None else bar(count, most, f"{name}: {number(count)}")


def _facts(run: RunDocuments) -> Iterator[tuple[str, str]]:
    lists = run.gates.get("lists", Known()).at("profile")
    yield "Share", _share(run)
    yield "Arms", _arms(run)
    if audience := run.fact("features", "rows", "audience").count:
        yield "Audience", f"{number(audience)} users"
    if (all_lists := lists.at("lists").count) is not None:
        personal = lists.at("personal").count
        of = "" if personal is None else f", of which {number(personal)} personal ones"
        yield "Lists", f"{number(all_lists)}{of}; {_fallback(lists)} popular sources for everybody else"
    if (listed := lists.at("listed_sources").count) is not None:
        yield "Sources", f"{number(listed)} of {number(lists.at('eligible_sources').count)} eligible ones are in a list"
    if (total := run.fact("publish", "bytes").number) is not None:
        yield "Sent", size(total)
    if at := run.manifest.at("stages", "serve", "finished_at").moment:
        revision = run.fact("serve", "revision").count
        yield "Went live", moment(at) + ("" if revision is None else f", revision {revision} of the pointer")
    epoch = run.manifest.at("epoch").count
    yield "Epoch", MISSING if epoch is None else number(epoch)


def _fallback(lists: Known) -> str:
    return number(lists.at("fallback", "sources").count)


def _share(run: RunDocuments) -> str:
    asked = share_text(run.manifest.at("request", "share_bp")) or "unknown"
    served = share_text(run.fact("serve", "share_bp"))
    if run.manifest.at("experiment", "role").text == "control":
        return f"lists for {asked} of the audience, for the control arm"
    now = "" if served is None or served == asked else f"; {served} were served when it went live"
    outside = run.gates.get("lists", Known()).at("profile", "outside_share").count
    named = "" if asked == "100 %" or outside != 0 else "; every list is of a user whom the hash names"
    return f"lists for {asked} of the audience{now}{named}"


def _arms(run: RunDocuments) -> str:
    part = run.manifest.at("experiment")
    name, role = part.at("experiment").text, part.at("role").text
    if name is None:
        share = share_text(run.manifest.at("request", "share_bp"))
        rest = "who is not in the share gets what the caller shows without us"
        return "everybody is treated" if share == "100 %" else rest
    kind = part.at("control").text or "unknown"
    if role == "control":
        return f"the control ({kind}) of experiment {name}; it serves beside its treatment"
    beside = part.at("control_run").text
    return f"the treatment of experiment {name}; control: {kind}" + ("" if beside is None else f", run {beside}")
