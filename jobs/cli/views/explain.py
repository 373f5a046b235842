"""How an explanation looks: what somebody must know first, then what it rests on."""

from collections import Counter
from collections.abc import Iterator, Sequence

from conf.text_table import plain
from jobs.cli.views.view import View, duration, table
from jobs.inspector.explanation import (
    Absent,
    Basis,
    EventCount,
    Listed,
    Pair,
    Row,
    Score,
    SourceAnswer,
    Stored,
    UserExplanation,
    Without,
)
from models.explain.rules import Rule

_LISTED, _ABSENT, _PAIRS, _EVENTS = 10, 10, 10, 15
_KINDS = {
    "personal": "a list of their own, by what they did",
    "popular": "popular sources without their own exclusions",
    "shadow": "a shadow list: computed, never published, since the run does not cover the user",
    "fallback": "no list of their own: a look-up answers the fallback list",
    "none": "nothing of this run: its share does not cover the user",
}
WHY = {
    Rule.SEEN: "the user had something to do with it",
    Rule.SUBSCRIBED: "the user follows it",
    Rule.BLOCKED: "the user blocked it",
    Rule.OWNED: "the user owns it",
    Rule.INELIGIBLE: "not eligible: not active, or not created before the day of the run",
    Rule.UNTRAINED: "no score",
    Rule.CATEGORY_CAP: "too many of its category",
    Rule.OWNER_CAP: "too many of its owner",
    Rule.MIN_SCORE: "its score is too low",
    Rule.BEATEN: "the list was full of better ones",
}
"""What a rule means, for people."""


def explanation(found: UserExplanation) -> View:
    """Returns what is said of a user."""
    return View("\n".join(_lines(found)), found.to_json())


def source(found: UserExplanation) -> View:
    """Returns why one source is, or is not, in the user's list."""
    if found.state == "forgotten":
        return explanation(found)
    assert found.source is not None
    return View("\n".join([*_head(found), *_about(found.source, found)]), found.to_json())


def _lines(found: UserExplanation) -> Iterator[str]:
    if found.state == "forgotten":
        yield f"user     {_text(found.user)} is forgotten: nothing is shown, of no run"
        return
    yield from _head(found)
    yield from _because(found)
    yield from _list(found)
    yield from _left_out(found)
    yield from _pairs(found.pairs)
    yield from _events(found)
    yield from _before(found)


def _head(found: UserExplanation) -> Iterator[str]:
    age = "" if found.age_seconds is None else f", announced {duration(found.age_seconds)} ago"
    yield f"user     {_text(found.user)}, {found.arm} arm" + (
        "; no table of the run has them" if found.state == "unknown" else ""
    )
    yield f"run      {found.run}, as of {found.as_of}{age}"
    size = "" if found.row is None else f" ({len(found.row.source_ids)} sources)"
    yield f"has      {_KINDS[found.kind]}{size}"
    if found.stored is not None:
        yield f"redis    {_stored(found.stored, found)}"
    if found.rebuilt is False:
        yield "warning  the rules do not make this list of the run's factors now: of other code, or damaged"


def _stored(stored: Stored, found: UserExplanation) -> str:
    state = "does not know this run" if stored.state is None else f"has this run as {stored.state}"
    value = {True: ", with the same list", False: ", WITH ANOTHER LIST", None: ""}[stored.matches]
    if stored.row is None and stored.state is not None and found.kind in ("personal", "popular"):
        value = ", without a list of the user"
    own = " from this run" if stored.serving == found.run else f" from run {stored.serving}"
    return f"{state}{value}; a look-up answers now: {stored.answer}{'' if stored.serving is None else own}"


def _because(found: UserExplanation) -> Iterator[str]:
    if found.basis is None:
        yield "because  they have no factors: no interaction in the windows counts for something"
        return
    yield f"because  {_basis(found.basis, found)}"


def _basis(basis: Basis, found: UserExplanation) -> str:
    of_run = "" if basis.run == found.run else f" of run {basis.run}, whose factors this run kept"
    pairs = sum(pair.weight is not None for pair in found.pairs)
    made = f"{pairs} interactions{of_run} ({basis.algorithm}, {basis.started})"
    if basis.fault is not None:
        return f"{made}; {basis.fault}"
    largest = found.largest_remainder
    return made if largest is None else f"{made}; they explain each listed score but for at most {largest:.1%} of it"


def _list(found: UserExplanation) -> Iterator[str]:
    if not found.listed:
        return
    rows = [(str(one.rank), _text(one.source), *_score(one.score)) for one in found.listed[:_LISTED]]
    yield ""
    yield table(rows, ("rank", "source", "score", "because of"))
    if more := len(found.listed) - len(rows):
        yield f"{more} more: --json"
    yield from _without(found.listed[:_LISTED])


def _without(listed: Sequence[Listed]) -> Iterator[str]:
    rows = [(str(one.rank), _text(one.source), *_rests(one.without)) for one in listed if one.without is not None]
    if rows:
        yield ""
        yield "what places rest on: the user folded in anew, as if these three had never been"
        yield table(rows, ("rank", "source", "without", "place"))


def _rests(without: Without) -> tuple[str, str]:
    sources = ", ".join(map(_text, without.sources))
    if not without.falls:
        return "no three", f"stays {without.place}"
    return sources, f"{without.place} → {without.place_without}"


def _score(score: Score) -> tuple[str, str]:
    shown = score.shown()
    if shown.remainder is None:
        return shown.value, "–"
    parts = [f"{_text(source)} {value}" for source, value in shown.parts]
    if shown.other_pairs:
        parts.append(f"{shown.other_pairs} others {shown.others}")
    return shown.value, " + ".join([*parts, f"remainder {shown.remainder}"])


def _left_out(found: UserExplanation) -> Iterator[str]:
    if not found.absent:
        return
    counts = ", ".join(f"{number} {rule}" for rule, number in found.absent_by_rule.items())
    yield ""
    yield f"better than the last one listed, and left out: {counts or len(found.absent)}"
    yield table([_absent(one) for one in found.absent[:_ABSENT]], ("rank", "source", "score", "first rule"))


def _absent(one: Absent) -> tuple[str, str, str, str]:
    rank, score = ("–" if value is None else value for value in (one.rank, one.score))
    return str(rank), _text(one.source), score if isinstance(score, str) else f"{score:.4f}", why(one)


def why(absent: Absent) -> str:
    """Returns the first rule that kept a source out, for people."""
    return f"{absent.rule}: {_text(absent.detail) if absent.detail else WHY[absent.rule]}"


def _pairs(pairs: Sequence[Pair]) -> Iterator[str]:
    if not pairs:
        return
    rows = [
        (_text(pair.source), _number(pair.weight), _number(pair.summed), _number(pair.confidence)) for pair in pairs
    ]
    yield ""
    yield table(rows[:_PAIRS], ("interaction with", "weight", "by its events", "confidence"))
    if wrong := [pair for pair in pairs if pair.agrees is False]:
        yield f"WARNING: of {len(wrong)} pairs the events do not add up to the weight, e.g. {_text(wrong[0].source)}"
    if len(pairs) > _PAIRS:
        yield f"{len(pairs) - _PAIRS} more: --json"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _events(found: UserExplanation) -> Iterator[str]:
    if found.events:
        newest = sorted(found.events, key=lambda one: one.day, reverse=True)[:_EVENTS]
        yield ""
        yield table([_event(one) for one in newest], ("day", "dataset", "event", "source", "events", "weigh"))
        if len(found.events) > _EVENTS:
            yield f"{len(found.events) - _EVENTS} more: --json"
    if found.missing_days:
        days = ", ".join(f"{dataset} {day}" for dataset, day in found.missing_days[:5])
        yield f"events of {len(found.missing_days)} days are not here any more: {days}"


def _event(one: EventCount) -> tuple[str, ...]:
    return (
        str(one.day),
        one.dataset,
        _text(one.event),
        _text(one.source),
        str(one.events),
        f"{one.amount:g} × {one.factor:.3f} = {one.weight:.3f}",
    )


def _before(found: UserExplanation) -> Iterator[str]:
    before = found.before
    if before is None:
        return
    yield ""
    if before.fault is not None:
        yield f"before   run {before.run}: {before.fault}"
        return
    yield f"before   run {before.run}: {_KINDS[before.kind]}"
    if before.row is not None and found.row is not None:
        yield _difference(before.row, found.row)


def _difference(before: Row, after: Row) -> str:
    then, now = Counter(before.source_ids), Counter(after.source_ids)
    came = [source for source in after.source_ids if source not in then]
    went = [source for source in before.source_ids if source not in now]
    stayed = f"         {len(after.source_ids) - len(came)} of {len(after.source_ids)} sources were in it"
    return f"{stayed}; came: {_some(came)}; went: {_some(went)}"


def _some(sources: Sequence[object]) -> str:
    shown = ", ".join(map(_text, sources[:5])) or "none"
    return shown + (f" and {len(sources) - 5} more" if len(sources) > 5 else "")


def _about(asked: SourceAnswer, found: UserExplanation) -> Iterator[str]:
    name = _text(asked.source)
    if asked.eligible is None:
        yield f"source   {name}: the run does not know it: not in the sources, and without interactions"
        return
    if asked.listed is not None:
        yield f"source   {name} is in the list, place {asked.listed.rank} of {len(found.listed)}"
    elif found.row is None:
        yield f"source   {name}: the run has no list for the user"
    else:
        assert asked.absent is not None
        yield f"source   {name} is not in the list, by the rule {why(asked.absent)}"
    if asked.score is not None:
        value, made = _score(asked.score)
        beaten = "" if asked.beaten_by is None else f"; {asked.beaten_by} of the list are better"
        last = "" if asked.last_listed is None else f", the last of which has {asked.last_listed:.4f}"
        yield f"score    {value}, rank {asked.rank} of all sources{beaten}{last}"
        yield f"because  {made}"
    if asked.listed is not None and asked.listed.without is not None:
        sources, place = _rests(asked.listed.without)
        yield f"place    without {sources}: {place}"
    owner = "" if asked.owner is None else f", of owner {_text(asked.owner)}"
    category = "of unknown category" if asked.category is None else f"of category {_text(asked.category)}"
    eligible = "eligible" if asked.eligible else "not eligible"
    yield f"it is    {eligible}, {category}{owner}; {asked.users} users had to do with it"


def _text(value: object) -> str:
    """Returns an id as text that no terminal takes for an order."""
    return plain(str(value))
