"""How two versions look side by side: text for a person, and the same as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from jobs.cli.model_versions import ModelVersion
from jobs.cli.views.model import WIDTH, figure_text, wrapped
from jobs.cli.views.view import View, table
from models.registry.compare import FigurePair, InputDifference, Pairs, VersionComparison
from models.registry.lineage import Lineage


def comparison(
    models: tuple[ModelVersion, ModelVersion], lineages: tuple[Lineage, Lineage], found: VersionComparison
) -> View:
    """Returns what differs, and the judged figures."""
    first, second = (model.version.number for model in models)
    lines = [
        table(list(_heads(models, lineages))),
        *_section("settings", _pairs(found.settings)),
        *_section("recipe", _pairs(found.recipe)),
        *_section("code", _pairs(found.code)),
        *_section("libraries", _pairs(found.libraries)),
        *_section("inputs", [_input(one, first, second) for one in found.inputs]),
        "",
        *_judged(found, first, second),
    ]
    return View("\n".join(lines), _data(models, lineages, found))


def _heads(models: tuple[ModelVersion, ModelVersion], lineages: tuple[Lineage, Lineage]) -> Iterator[tuple[str, ...]]:
    yield ("version", *(", ".join((model.version.number, *model.roles)) for model in models))
    yield ("run", *(made.run_id for made in lineages))
    yield ("as of", *(str(made.as_of) for made in lineages))
    yield ("parent", *(made.parent_version or "none" for made in lineages))
    for name in ("interactions", "users", "sources"):
        yield (name, *(f"{made.training[name]:,}" if name in made.training else "–" for made in lineages))


def _section(title: str, rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Returns a heading and what differs below it; where nothing does, one line that says so."""
    if not rows:
        return [f"\n{title}: no difference"]
    return [f"\n{title}", table(rows, indent=2)]


def _pairs(pairs: Pairs) -> list[tuple[str, ...]]:
    """Returns values that are too long for a line are cut; --json has them whole."""
    room = (WIDTH - max(map(len, pairs), default=0) - len("      ")) // 2
    return [(name, *(_cut(value.strip('"'), room) for value in values)) for name, values in pairs.items()]


def _cut(value: str, room: int) -> str:
    return value if len(value) <= room else f"{value[: room - 1]}…"


def _input(one: InputDifference, first: str, second: str) -> tuple[str, ...]:
    parts = [
        f"{len(days)} only in {number}" for days, number in ((one.only_first, first), (one.only_second, second)) if days
    ]
    if one.rewritten:
        parts.append(f"{len(one.rewritten)} rewritten ({_some(one.rewritten)})")
    return (one.name, *one.windows, ", ".join(parts) or "the same partitions")


def _some(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} …"


def _judged(found: VersionComparison, first: str, second: str) -> list[str]:
    """Returns the figures of ours, and NDCG of and against the other arms."""
    arms = {pair.name.removesuffix(".coverage") for pair in found.figures if pair.name.endswith(".coverage")}
    rows = [_figure(pair) for pair in found.figures if _is_shown(pair.name, arms)]
    header = ("figure", f"version {first}", f"version {second}", "difference", "intervals")
    lines = ["judged", *(wrapped(f"{remark}: the figures do not compare", "  ", "    ") for remark in found.remarks)]
    return [*lines, table(rows, header, indent=2)] if rows else lines


def _is_shown(name: str, arms: set[str]) -> bool:
    arm, _, rest = name.partition(".")
    return rest == "ndcg" if arm in arms or arm.startswith("over_") else True


def _figure(pair: FigurePair) -> tuple[str, ...]:
    difference, overlap = pair.difference, pair.overlap
    counts = isinstance(difference, int)
    return (
        pair.name,
        figure_text(pair.first),
        figure_text(pair.second),
        "" if difference is None else f"{difference:+,}" if counts else f"{difference:+.4f}",
        "" if overlap is None else "overlap" if overlap else "apart",
    )


def _data(
    models: tuple[ModelVersion, ModelVersion], lineages: tuple[Lineage, Lineage], found: VersionComparison
) -> dict[str, Any]:
    return {
        "versions": [model.version.number for model in models],
        "runs": [made.run_id for made in lineages],
        "settings": found.settings,
        "recipe": found.recipe,
        "code": found.code,
        "libraries": found.libraries,
        "inputs": [asdict(one) for one in found.inputs],
        "figures": [
            {**asdict(pair), "difference": pair.difference, "intervals_overlap": pair.overlap} for pair in found.figures
        ],
        "comparable": not found.remarks,
        "remarks": list(found.remarks),
    }
