"""How a look-up looks."""

from conf.share import Share
from jobs.cli.views.view import NOTHING, View
from publish.read.reader import Answer


def answer(found: Answer) -> View:
    """Returns what a user gets."""
    scores = found.scores if found.scores else (None,) * len(found.source_ids)
    pairs = [
        f"{source} ({score:.3f})" if score is not None else str(source)
        for source, score in zip(found.source_ids, scores, strict=True)
    ]
    what = {
        "list": "a list of their own",
        "fallback": "the fallback list: nothing personal is known",
        "control": "nothing: the control arm has the caller’s own default",
        "none": "nothing: no run serves",
    }[found.kind]
    lines = [
        f"user    {found.user_id}, {found.arm} arm ({Share(found.share_bp)} are in the treatment)",
        f"gets    {what}",
        f"from    {found.run if found.run is not None else NOTHING}{_age(found.age_seconds)}",
        f"sources {len(found.source_ids)}: {', '.join(pairs)}" if pairs else "sources none",
    ]
    data = {**found._asdict(), "source_ids": list(found.source_ids), "scores": list(found.scores)}
    return View("\n".join(lines), data)


def _age(seconds: float | None) -> str:
    return "" if seconds is None else f", announced {seconds / 3600:.1f} hours ago"
