"""How the plan and the report of an experiment look."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from jobs.cli.views.view import View, table
from jobs.experiments.planning import ExperimentPlan, PlannedMetric, PlannedWeek
from jobs.experiments.report import AnyResult, NoResult, Reading, Report, dates_of
from jobs.experiments.words import (
    carry_over_said,
    headline,
    interval_said,
    left_out,
    signed,
    state_of,
    weeks_said,
)
from models.experiment.effects import Interval, NoEffect
from models.experiment.mismatch import Mismatch

_MOST = 20
"""Categories that are shown as text; JSON has all."""
_HEADER = ("metric", "treated", "control", "lift", "95 % at any look", "weeks", "informed", "")


def reported(report: Report) -> View:
    """Returns the answer to `report`."""
    return View("\n".join(_lines(report)), _data(report))


def planned(plan: ExperimentPlan) -> View:
    """Returns the answer to `plan`."""
    lines = [
        f"an experiment of {plan.product}, by {plan.source.said}",
        *(f"assumed: {assumed}" for assumed in plan.source.assumed),
        *(f"warning: {warning}" for warning in plan.warnings),
        f"smallest lift that is found in {100 * plan.power:.0f} % of cases if it ends after that week"
        f"{', week 0 taken out (CUPED)' if plan.cuped else ''}:",
    ]
    known = [one for one in plan.metrics if isinstance(one, PlannedMetric)]
    rows = [_planned_row(one, week) for one in known for week in one.weeks]
    header = ("metric", "week", "share", "treated users", "lift", "difference")
    lines += [table(rows, header)] if rows else []
    lines += [_past_said(one) for one in known]
    lines += [f"{name}: {why}" for name, why in _unplanned(plan)]
    return View("\n".join(lines), _plan_data(plan))


def _lines(report: Report) -> Iterator[str]:
    one, weeks = report.experiment, report.record.weeks[1:]
    yield f"{headline(report)}"
    yield f"experiment {one.name} of {one.product}, {state_of(report)}; control: {one.control}"
    shares = ", ".join("none" if week.share_bp is None else f"{week.share_bp / 100:g} %" for week in weeks)
    yield f"weeks       {weeks_said([week.number for week in weeks])} ({dates_of(weeks)}), treated: {shares}"
    yield f"seen        {report.seen}"
    yield f"audience    {report.audience}"
    if report.effects is None:
        yield "effects     none are shown: who is missing may be those with an effect; find out why, first"
        yield from (f"note        {note}" for note in report.notes)
        return
    yield f"carry-over  {carry_over_said(report)}"
    yield from (f"guardrail   {harm.state}: {harm.said}" for harm in report.harms)
    yield table([_row(found) for found in (*report.effects, *report.others)], _HEADER)
    for metric, parts in report.categories.items():
        yield f"{metric} by kind, {_some(parts)}each alone, none is decided:"
        yield table([_row(part) for part in parts[:_MOST]], _HEADER)
    yield from (f"note        {note}" for note in [*left_out(report), *report.notes])


def _some(parts: Sequence[AnyResult]) -> str:
    return f"the {_MOST} of {len(parts)} with the most, " if len(parts) > _MOST else ""


def _row(one: AnyResult) -> tuple[str, ...]:
    if isinstance(one, NoResult):
        return (one.metric, "–", "–", "–", "–", "–", "–", one.reason)
    newest = one.newest
    return (
        one.metric,
        f"{one.treated:.5g}",
        f"{one.control:.5g}",
        signed(newest.lift),
        interval_said(newest.lift_interval),
        weeks_said(one.weeks),
        f"{100 * one.informed:.0f} %",
        "" if one.state == "shown" else one.state,
    )


def _data(report: Report) -> dict[str, Any]:
    return {
        "product": report.experiment.product,
        "experiment": report.experiment.name,
        "closed": report.experiment.closed,
        "reason": report.experiment.reason,
        "control": report.experiment.control,
        "judged_by": report.judged_by.model_dump(mode="json"),
        "headline": headline(report),
        "weeks": [
            {
                "week": week.number,
                "first": week.first,
                "last": week.last,
                "share_bp": week.share_bp,
                "mature": week.mature,
            }
            for week in report.record.weeks[1:]
        ],
        "looks": report.looks,
        "mismatch": {"seen": _mismatch(report.seen), "audience": _mismatch(report.audience)},
        "carried_over": report.carried_over,
        "effects": None if report.effects is None else [_result(one) for one in report.effects],
        "others": [_result(one) for one in report.others],
        "categories": {name: [_result(one) for one in parts] for name, parts in report.categories.items()},
        "guardrails": [{**asdict(harm.guardrail), "state": harm.state, "said": harm.said} for harm in report.harms],
        "notes": [*left_out(report), *report.notes],
    }


def _mismatch(one: Mismatch) -> dict[str, Any]:
    e_values = [value if math.isfinite(value) else None for value in one.e_values]
    return {"found": one.found, "treated": one.treated, "expected": one.expected, "e_values": e_values}


def _result(one: AnyResult) -> dict[str, Any]:
    if isinstance(one, NoResult):
        return {"metric": one.metric, "state": "unknown", "reason": one.reason}
    return {
        "metric": one.metric,
        "state": one.state,
        "treated": one.treated,
        "control": one.control,
        "weeks": one.weeks,
        "informed": one.informed,
        "carried_over": one.carried_over,
        "looks": [_reading(reading) for reading in one.readings],
    }


def _reading(one: Reading) -> dict[str, Any]:
    return {
        "week": one.week,
        "difference": one.difference,
        "interval": _ends(one.interval),
        "lift": one.lift,
        "lift_interval": _ends(one.lift_interval),
    }


def _ends(interval: Interval | None) -> list[float] | None:
    """Returns both ends; None where one is not known, for JSON has no infinity."""
    ends = [] if interval is None else [interval.low, interval.high]
    return ends if ends and all(map(math.isfinite, ends)) else None


def _planned_row(one: PlannedMetric, week: PlannedWeek) -> tuple[str, ...]:
    treated = one.past.users * week.share_bp / 10_000
    start = (one.metric, str(week.week), f"{week.share_bp / 100:g} %", f"{treated:,.0f}")
    if week.found is None:
        return (*start, "–", "too few users")
    return (*start, signed(week.found.lift).lstrip("+"), f"{week.found.difference:.4g}")


def _past_said(one: PlannedMetric) -> str:
    past = one.past
    return (
        f"{one.metric}: {past.users:,} users, mean {past.mean:.4g}, standard deviation {past.deviation:.4g}, weeks "
        f"correlated by {past.correlation:.2f}"
    )


def _unplanned(plan: ExperimentPlan) -> Iterator[tuple[str, NoEffect]]:
    for one in plan.metrics:
        if not isinstance(one, PlannedMetric):
            yield one


def _plan_data(plan: ExperimentPlan) -> dict[str, Any]:
    known = [
        {
            "metric": one.metric,
            "past": asdict(one.past),
            "weeks": [
                {
                    "week": week.week,
                    "share_bp": week.share_bp,
                    "lift": None if week.found is None else week.found.lift,
                    "difference": None if week.found is None else week.found.difference,
                }
                for week in one.weeks
            ],
        }
        for one in plan.metrics
        if isinstance(one, PlannedMetric)
    ]
    unknown = [{"metric": name, "reason": str(why)} for name, why in _unplanned(plan)]
    return {
        "product": plan.product,
        "source": plan.source.said,
        "assumed": plan.source.assumed,
        "warnings": plan.warnings,
        "power": plan.power,
        "cuped": plan.cuped,
        "metrics": [*known, *unknown],
    }
