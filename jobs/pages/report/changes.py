"""What changed since the run that served when this one began: recipe, inputs, code, metrics, lists."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conf.contract import METRICS
from conf.diff import differences
from expectations.drift.checks import DriftProfile, value_text
from jobs.pages.report.cost import short
from jobs.pages.report.documents import Known, RunDocuments
from jobs.pages.report.inputs import is_snapshot, rows_read
from jobs.pages.report.published import share_text
from jobs.pages.report.quality import figure
from jobs.pages.report.words import change, day_range, number, percent, plural
from jobs.storage.stage_names import STAGES
from models.pages import MISSING

_MOST = 40
"""Settings or libraries that are shown."""
_LONGEST = 160
_RECIPE = ("datasets.events.", "interactions.", "train.", "ids")
"""Settings that make up the recipe begin so."""


@dataclass(frozen=True)
class Figure:
    """A number of both runs."""

    name: str
    before: str
    now: str
    change: str


@dataclass(frozen=True)
class Difference:
    """Something that the runs have in different versions; `is_recipe`: it decides interactions or training."""

    name: str
    before: str
    now: str
    is_recipe: bool = False


@dataclass(frozen=True)
class Changes:
    """What differs from the run before."""

    run: str | None
    """None: nothing served before."""
    as_of: dt.date | None
    lacking: str | None
    """Why nothing can be compared; None if it can."""
    overlap: str | None
    settings: Sequence[Difference]
    more_settings: int
    inputs: Sequence[Difference]
    code: Sequence[Difference]
    libraries: Sequence[Difference]
    figures: Sequence[Figure]

    @property
    def recipe(self) -> int:
        """How many of the settings shown make up the recipe."""
        return sum(one.is_recipe for one in self.settings)


def changes_of(run: RunDocuments) -> Changes:
    """Returns what differs from the run before, as far as both are known."""
    before, known = run.manifest.at("serving_before").text, bool(run.before)
    lacking = None
    if before is None:
        lacking = "nothing served before this run"
    elif not known:
        lacking = "its folder is gone, or cannot be read"
    other = RunDocuments("", run.before)
    settings = [*_settings(other, run)] if known else []
    return Changes(
        run=before,
        as_of=other.manifest.at("request", "as_of").day,
        lacking=lacking,
        overlap=_overlap(run),
        settings=settings[:_MOST],
        more_settings=max(0, len(settings) - _MOST),
        inputs=[*_inputs(other, run)] if known else [],
        code=[*_code(other, run)] if known else [],
        libraries=[*_pairs(other.manifest.at("libraries"), run.manifest.at("libraries"))][:_MOST] if known else [],
        figures=[*_figures(other, run)] if known else [],
    )


def _overlap(run: RunDocuments) -> str | None:
    """Returns the share of a list's sources that the list of the same user before had; a sample of lists has it."""
    report = run.judged_gates.get("list_drift")
    findings = report.profile.findings if report and isinstance(report.profile, DriftProfile) else ()
    found = next((one for one in findings if (one.subject, one.name) == ("lists", "overlap")), None)
    return None if found is None or found.value is None else value_text(found, found.value)


def _settings(before: RunDocuments, now: RunDocuments) -> Iterator[Difference]:
    pairs = differences(before.manifest.at("settings").mapping(), now.manifest.at("settings").mapping())
    found = [Difference(name, _cut(a), _cut(b), name.startswith(_RECIPE)) for name, (a, b) in pairs.items()]
    yield from sorted(found, key=lambda one: not one.is_recipe)


def _pairs(before: Known, now: Known) -> Iterator[Difference]:
    for name, (a, b) in differences(before.mapping(), now.mapping()).items():
        yield Difference(name, _cut(a.strip('"')), _cut(b.strip('"')))


def _code(before: RunDocuments, now: RunDocuments) -> Iterator[Difference]:
    for stage in STAGES:
        codes = [one.manifest.at("stages", stage, "code_version").text for one in (before, now)]
        if codes[1] is not None and codes[0] != codes[1]:
            yield Difference(stage, short(codes[0]), short(codes[1]))


def _inputs(before: RunDocuments, now: RunDocuments) -> Iterator[Difference]:
    """Yields the datasets, with the days that are new, those that were rewritten since, and the rows."""
    old, new = (_records(one) for one in (before, now))
    for name in dict.fromkeys([*new, *old]):
        a, b = old.get(name), new.get(name)
        if a is None or b is None:
            yield Difference(name, "not read" if a is None else "read", "not read" if b is None else "read")
            continue
        prints = [_prints(one) for one in (a, b)]
        rewritten = [day for day in prints[0].keys() & prints[1].keys() if prints[0][day] != prints[1][day]]
        fresh = prints[1].keys() - prints[0].keys()
        rows = [rows_read(one, snapshot=is_snapshot(run, name)) for one, run in ((a, before), (b, now))]
        says = [f"{number(rows[1])} rows{_in_brackets(change(*rows))}"]
        says += [f"{plural(len(fresh), 'new day')}"] if fresh else []
        says += [f"rewritten since: {day_range(rewritten)}"] if rewritten else []
        yield Difference(name, f"{number(rows[0])} rows", "; ".join(says))


def _records(run: RunDocuments) -> dict[str, Known]:
    found = ((record.at("name").text, record) for record in run.records())
    return {name: record for name, record in found if name is not None}


def _prints(record: Known) -> Mapping[dt.date, str]:
    found = ((day.at("day").day, day.at("fingerprint").text) for day in record.at("days").each())
    return {day: text for day, text in found if day is not None and text is not None}


def _figures(before: RunDocuments, now: RunDocuments) -> Iterator[Figure]:
    judged = [one.fact("train", "judged") for one in (before, now)]
    for metric, title in METRICS.items():
        pair = [figure(one, "ours", metric) for one in judged]
        name = f"{title.format(number(judged[1].at('k').number))}, each on its own hold-out"
        yield from _figure(name, *(None if one is None else one.mean for one in pair), digits=True)
    golden = [one.fact("train", "golden") for one in (before, now)]
    if golden[0].at("sha256").text == golden[1].at("sha256").text:
        yield from _figure("NDCG on the golden data", *(one.at("ndcg").number for one in golden), digits=True)
    for name in ("interactions", "users", "sources"):
        yield from _figure(f"{name} trained on", *(one.fact("train", "training", name).number for one in (before, now)))
    yield from _shares(before, now)
    lists = [before_lists.at("profile") for before_lists in (now.lists_before, now.gates.get("lists", Known()))]
    for name, title in (("lists", "lists"), ("personal", "personal lists"), ("listed_sources", "sources in lists")):
        yield from _figure(title, *(one.at(name).number for one in lists))
    shares = [_part(one.at("most_frequent"), one.at("lists")) for one in lists]
    if None not in shares:
        yield Figure("lists with the most frequent source", percent(shares[0]), percent(shares[1]), "")


def _shares(before: RunDocuments, now: RunDocuments) -> Iterator[Figure]:
    shares = [share_text(one.manifest.at("request", "share_bp")) for one in (before, now)]
    if shares[0] != shares[1]:
        yield Figure("share of the audience", shares[0] or MISSING, shares[1] or MISSING, "")


def _figure(name: str, before: float | None, now: float | None, *, digits: bool = False) -> Iterator[Figure]:
    if before is not None or now is not None:
        then, today = (MISSING if one is None else f"{one:.4f}" if digits else number(one) for one in (before, now))
        yield Figure(name, then, today, change(before, now))


def _part(one: Known, of: Known) -> float | None:
    return None if one.number is None or not of.number else one.number / of.number


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
