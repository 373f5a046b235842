"""How versions of a model look: text for a person, and the same as JSON."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conf.contract import METRICS
from conf.strict_yaml import write_yaml
from jobs.cli.model_versions import PROMOTED_TAG, ModelVersion, Served
from jobs.cli.views.runs import hold_text, serving_line
from jobs.cli.views.view import NOTHING, View, table, utc_text
from models.registry import LoggedRun
from models.registry.compare import JudgedFigure, figure_of
from models.registry.lineage import NO_PARENT, Input, Lineage, LineageCheck

WIDTH = 120
"""Characters of a line, at most."""

_MARGIN = 14
_JOINED = "\N{NO-BREAK SPACE}"
_MISSING = "–"


def version_list(
    listed: Sequence[tuple[ModelVersion, LoggedRun | None]], stale: Mapping[str, str], left_out: int
) -> View:
    """Returns one line per version, the newest first."""
    header = ("version", "aliases", "run", "as of", "factors", "NDCG", "interval", "k", "÷ popular", "serves")
    lines = [table([_row(model, logged) for model, logged in listed], header)]
    if left_out:
        lines.append(f"{left_out} older ones: --limit {len(listed) + left_out}")
    lines += [
        f"in MLflow the alias {alias} still names version {number}; `discovery model promote champion` corrects it"
        for alias, number in stale.items()
    ]
    return View("\n".join(lines), [_data(model) | _judged(logged) for model, logged in listed])


def version_details(one: ModelVersion, checked: LineageCheck) -> View:
    """Returns everything that is known of a version."""
    version, lineage = one.version, checked.lineage
    promoted = version.tags.get(PROMOTED_TAG)
    lines = [
        f"version       {', '.join((f'{version.number} of {version.product}', *one.roles))}{_serves(one)}",
        f"registered    {utc_text(version.created_at)}, MLflow run {version.mlflow_run or NOTHING}",
        f"factors in    {version.source}",
        *([] if promoted is None else [f"promoted      {promoted}"]),
        *(() if lineage is None else _lineage(lineage)),
        _wrapped("lineage", f"DOUBTED: {'; '.join(checked.faults)}" if checked.faults else "whole, as registered"),
    ]
    data = {
        **_data(one),
        "promoted": promoted,
        "lineage": None if lineage is None else lineage.model_dump(mode="json"),
        "faults": list(checked.faults),
    }
    return View("\n".join(lines), data)


def settings(lineage: Lineage) -> View:
    """Returns the settings of a version, as YAML that a job takes."""
    return View(write_yaml(lineage.settings).rstrip(), lineage.settings)


def card(one: ModelVersion, folder: Path, files: Sequence[Path]) -> View:
    """Returns where the pages of a version lie now."""
    version = one.version
    pages = [file for file in files if file.suffix in (".html", ".md")]
    lines = [f"model card of version {version.number} of {version.product}, run {version.run_id}", *map(str, pages)]
    data = {"version": version.number, "folder": str(folder), "files": [str(file) for file in files]}
    return View("\n".join(lines), data)


def served(result: Served) -> View:
    """Returns what serves after an order."""
    now = result.pointer
    version = NOTHING if result.model is None else result.model.version.number
    text = f"version       {version}{' (MLflow knows no version of what serves)' if result.model is None else ''}"
    data = {"version": None if result.model is None else version, "pointer": now.model_dump(mode="json")}
    return View(f"{text}\n{serving_line(now, None)}\nhold          {hold_text(now)}", data)


def figure_text(figure: JudgedFigure | None) -> str:
    """Returns a figure as in 0.1234 (0.1200–0.1260), a count as in 1,234."""
    if figure is None:
        return _MISSING
    if isinstance(figure.mean, int):
        return f"{figure.mean:,}"
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:.4f}–{figure.high:.4f})"
    return f"{figure.mean:.4f}{interval}"


def wrapped(text: str, first: str, indent: str) -> str:
    """Returns a text in lines of WIDTH, the first one after `first`; they do not break at _JOINED."""
    lines = textwrap.wrap(
        text, WIDTH, break_long_words=False, break_on_hyphens=False, initial_indent=first, subsequent_indent=indent
    )
    return "\n".join(lines).replace(_JOINED, " ")


def _row(one: ModelVersion, logged: LoggedRun | None) -> tuple[str, ...]:
    version, judged = one.version, _judged(logged)
    ndcg, low, high, ratio = (judged[name] for name in ("ndcg", "low", "high", "over_popularity"))
    return (
        version.number,
        ", ".join(one.roles),
        version.run_id or "made by hand",
        version.tags.get("discovery.as_of", _MISSING),
        judged["factors"] or _MISSING,
        _MISSING if ndcg is None else f"{ndcg:.4f}",
        _MISSING if low is None or high is None else f"{low:.4f}–{high:.4f}",
        _MISSING if judged["k"] is None else f"{judged['k']}",
        _MISSING if ratio is None else f"{ratio:.2f}",
        "" if one.share_bp is None else str(one.share_bp),
    )


def _judged(logged: LoggedRun | None) -> dict[str, Any]:
    """Returns what a line says of the quality of the recipe that a version is of, from the MLflow run behind it."""
    metrics = {} if logged is None else logged.metrics
    kept = "champion." if logged is not None and logged.params.get("winner") == "champion" else ""
    names = (f"{kept}ndcg", f"{kept}ndcg.low", f"{kept}ndcg.high", "popularity.ndcg", "k")
    ndcg, low, high, popularity, k = (metrics.get(f"judged.{name}") for name in names)
    return {
        "factors": None if logged is None else logged.params.get("train.factors"),
        "ndcg": ndcg,
        "low": low,
        "high": high,
        "k": None if k is None else int(k),
        "over_popularity": ndcg / popularity if ndcg is not None and popularity else None,
    }


def _data(one: ModelVersion) -> dict[str, Any]:
    version = one.version
    return {
        "version": version.number,
        "aliases": list(one.roles),
        "run": version.run_id,
        "as_of": version.tags.get("discovery.as_of"),
        "registered": version.created_at.isoformat(),
        "mlflow_run": version.mlflow_run,
        "factors_uri": version.source,
        "serves_bp": None if one.share_bp is None else int(one.share_bp),
    }


def _serves(one: ModelVersion) -> str:
    return "" if one.share_bp is None else f", serves {one.share_bp} of the audience"


def _lineage(made: Lineage) -> list[str]:
    parent = NO_PARENT if made.parent_run is None else f"{made.parent_version or 'unknown'} (run {made.parent_run})"
    codes = {code: [stage for stage, by in made.code.items() if by == code] for code in made.code.values()}
    code = "; ".join(f"{code}{_JOINED}({', '.join(stages)})" for code, stages in codes.items())
    libraries = ", ".join(f"{name}{_JOINED}{number}" for name, number in made.libraries.items())
    numbers = {name: value for name, value in made.training.items() if isinstance(value, int | float | str)}
    trained = ", ".join(f"{name}{_JOINED}{_number(value)}" for name, value in numbers.items())
    return [
        f"run           {made.run_id}, as of {made.as_of}, started by {made.started_by}",
        f"parent        {parent}",
        f"settings      hash {made.config_hash} (--settings prints them)",
        _wrapped("recipe", f"{made.decision.winner}'s: {made.decision.reason}"),
        f"seeds         {', '.join(f'{name} {seed}' for name, seed in made.seeds.items())}",
        _wrapped("code", code),
        _wrapped("libraries", libraries),
        _wrapped("trained", trained),
        *_judgement(made),
        f"inputs{table([_input(given) for given in made.inputs], indent=_MARGIN).removeprefix(' ' * len('inputs'))}",
    ]


def _judgement(made: Lineage) -> list[str]:
    if made.holdout is None:
        return [_wrapped("judged", f"not: {made.judged.get('skipped', 'no reason is kept')}")]
    held, k = made.holdout, made.judged.get("k", "k")
    head = (
        f"judged        on {held.pairs:,} pairs of the {held.days} days before {made.as_of} (digest {held.digest}), "
        f"lists cut at {k}"
    )
    shown = (*METRICS, "popularity.ndcg", "item_knn.ndcg", "champion.ndcg", "over_popularity.ndcg")
    found = [(name, figure) for name in shown if (figure := figure_of(made, name)) is not None]
    rows = [(name, figure_text(figure)) for name, figure in found]
    return [head, *([table(rows, indent=_MARGIN)] if rows else [])]


def _input(given: Input) -> tuple[str, ...]:
    rows = sum(day.rows for day in given.days)
    return (given.name, f"{given.start}:{given.end}", f"{len(given.days)} partitions", f"{rows:,} rows", given.digest)


def _number(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _wrapped(title: str, text: str) -> str:
    return wrapped(text, f"{title:<{_MARGIN}}", " " * _MARGIN)
