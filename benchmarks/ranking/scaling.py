"""Measures how ours grows with users and sources, and plots all arms over the number of sources."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.ranking.errors import RankingBenchError
from benchmarks.ranking.factors import FactorSet
from benchmarks.ranking.measure import RankingPlan, measure

_TIMES = (1, 4, 16)
_STYLES = {
    "ours": ("this package, exact", "o-"),
    "sgemm": ("scores alone (sgemm), no lists", "s--"),
    "faiss": ("faiss.knn, exact", "^-"),
    "implicit": ("implicit topk, exact", "v-"),
}


def measure_scaling(factors: FactorSet, n: int, rounds: int) -> list[dict[str, Any]]:
    """Returns rows like those of `measure`, for more users and more sources drawn from one set."""
    users, sources = len(factors.users), len(factors.sources)
    plan = RankingPlan((n,), rounds, with_spark=False, checked=20)
    rows = []
    for times in _TIMES:
        grown = replace(factors.with_sources(times * sources), name=f"sources ×{times}")
        rows += [row | {"grows": "sources", "times": times} for row in measure(grown, plan)]
    for times in _TIMES[1:]:
        grown = replace(factors.with_sources(sources).with_users(times * users), name=f"users ×{times}")
        rows += [row | {"grows": "users", "times": times} for row in measure(grown, plan)]
    return [row | {"base": factors.name} for row in rows]


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Plots users per second over sources as a PNG. Raises RankingBenchError where matplotlib is missing."""
    pyplot = _pyplot()
    rows = sorted((row for row in rows if row["grows"] == "sources"), key=lambda row: int(row["sources"]))
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, (label, style) in _STYLES.items():
        points = [(row["sources"], row["arms"][name]["users_per_second"]) for row in rows if row["arms"][name]]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label)
    axes.set(xscale="log", yscale="log", xlabel="number of sources", ylabel="users per second, two cores")
    axes.set_title(f"Exact top-{rows[0]['n']}, d = {rows[0]['dimensions']}, sources drawn from {rows[0]['base']}")
    axes.set_xticks([row["sources"] for row in rows], [f"{row['sources']:,}" for row in rows])
    axes.set_xticks([], minor=True)
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    pyplot.close(figure)


def check_can_draw() -> None:
    """Raises RankingBenchError where matplotlib is missing; called before the measurements."""
    _pyplot()


def _pyplot() -> Any:
    try:
        import_module("matplotlib").use("Agg")
    except ImportError as error:
        raise RankingBenchError("--plot needs matplotlib: pip install matplotlib") from error
    return import_module("matplotlib.pyplot")
