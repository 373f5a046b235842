"""Compares two versions of a model: what made them, and how they were judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from conf.diff import differences
from models.registry.lineage import Input, Lineage

Pairs = Mapping[str, tuple[str, str]]
"""Name → the two values, where they differ."""

_RULES = ("k", "heavy_from", "new_source_days")
"""Settings that decide which users a figure is about, and how much of a list counts."""


@dataclass(frozen=True)
class InputDifference:
    """A dataset that the versions read differently; a day is rewritten when its fingerprint differs."""

    name: str
    windows: tuple[str, str]
    only_first: tuple[date, ...]
    only_second: tuple[date, ...]
    rewritten: tuple[date, ...]


@dataclass(frozen=True)
class JudgedFigure:
    """A judged figure of one version, with its interval if it has one."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FigurePair:
    """The same figure of both versions; None where a version has no such figure."""

    name: str
    first: JudgedFigure | None
    second: JudgedFigure | None
    comparable: bool
    """Whether both were measured on the same users and truth."""

    @property
    def difference(self) -> float | None:
        """Second − first; None unless both are there and comparable."""
        if self.first is None or self.second is None or not self.comparable:
            return None
        return self.second.mean - self.first.mean

    @property
    def overlap(self) -> bool | None:
        """Whether the intervals share a point; None without intervals or on different truths."""
        first, second = self.first, self.second
        if self.difference is None or first is None or second is None:
            return None
        if first.low is None or first.high is None or second.low is None or second.high is None:
            return None
        return first.low <= second.high and second.low <= first.high


@dataclass(frozen=True)
class VersionComparison:
    """Everything that differs between two versions, and all of their judged figures."""

    settings: Pairs
    recipe: Pairs
    """Recipes of the factors; they may differ from the settings where a champion's recipe stayed."""
    code: Pairs
    libraries: Pairs
    inputs: tuple[InputDifference, ...]
    figures: tuple[FigurePair, ...]
    remarks: tuple[str, ...]
    """Why figures are not comparable."""


def compare(first: Lineage, second: Lineage) -> VersionComparison:
    """Returns the differences from the first to the second version."""
    remarks = tuple(_remarks(first, second))
    return VersionComparison(
        settings=differences(first.settings, second.settings),
        recipe=differences(first.recipe, second.recipe),
        code=differences(first.code, second.code),
        libraries=differences(first.libraries, second.libraries),
        inputs=tuple(_inputs(first, second)),
        figures=tuple(_figures(first, second, comparable=not remarks)),
        remarks=remarks,
    )


def _remarks(first: Lineage, second: Lineage) -> Iterator[str]:
    for lineage in (first, second):
        if lineage.holdout is None:
            yield f"run {lineage.run_id} was not judged: {lineage.judged.get('skipped', 'no reason is kept')}"
    ours, theirs = first.holdout, second.holdout
    if ours is None or theirs is None:
        return
    if (ours.pairs, ours.digest) != (theirs.pairs, theirs.digest):
        yield (
            f"judged on different hold-outs ({ours.pairs:,} pairs of {ours.days} days before {first.as_of}; "
            f"{theirs.pairs:,} of {theirs.days} before {second.as_of})"
        )
    rules = tuple({**made.settings.get("judge", {}), "k": made.judged.get("k")} for made in (first, second))
    other = differences(*({name: rule.get(name) for name in _RULES} for rule in rules))
    if other:
        yield "judged by different rules (" + ", ".join(f"{name} {a} and {b}" for name, (a, b) in other.items()) + ")"


def _inputs(first: Lineage, second: Lineage) -> Iterator[InputDifference]:
    ours, theirs = ({given.name: given for given in lineage.inputs} for lineage in (first, second))
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        a, b = ours.get(name), theirs.get(name)
        if a is not None and b is not None and (a.digest, _window(a)) == (b.digest, _window(b)):
            continue
        days = tuple({day.day: day.fingerprint for day in given.days} if given else {} for given in (a, b))
        yield InputDifference(
            name=name,
            windows=(_window(a), _window(b)),
            only_first=tuple(sorted(days[0].keys() - days[1].keys())),
            only_second=tuple(sorted(days[1].keys() - days[0].keys())),
            rewritten=tuple(sorted(day for day in days[0].keys() & days[1].keys() if days[0][day] != days[1][day])),
        )


def _window(given: Input | None) -> str:
    return "not read" if given is None else f"{given.start}:{given.end}"


def _figures(first: Lineage, second: Lineage, *, comparable: bool) -> Iterator[FigurePair]:
    names = [*first.judged, *(name for name in second.judged if name not in first.judged)]
    for name in names:
        if name.endswith((".low", ".high")) or name in ("k", "replicates"):
            continue
        pair = FigurePair(name, figure_of(first, name), figure_of(second, name), comparable)
        if pair.first is not None or pair.second is not None:
            yield pair


def figure_of(lineage: Lineage, name: str) -> JudgedFigure | None:
    """Returns a judged figure by its name; None when there is none or it is a text."""
    mean, low, high = (lineage.judged.get(key) for key in (name, f"{name}.low", f"{name}.high"))
    if mean is None or isinstance(mean, str):
        return None
    return JudgedFigure(mean, None if isinstance(low, str) else low, None if isinstance(high, str) else high)
