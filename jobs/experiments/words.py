"""The words for what an experiment has shown: of the command and of the page."""

import math
from collections.abc import Sequence

from jobs.experiments.report import Report, Result
from models.experiment.effects import Interval


def headline(report: Report) -> str:
    """Returns the report in one line."""
    if report.effects is None:
        return "Sample-ratio mismatch: no effect is shown"
    broken = [harm.guardrail.metric for harm in report.harms if harm.state == "broken"]
    won = [f"{one.state} {one.metric} ({signed(one.newest.lift)})" for one in decided_ones(report)]
    said = [f"guardrail broken: {', '.join(broken)}"] if broken else []
    said += [", ".join(won)] if won else [f"nothing decided after {report.looks} of {report.judged_by.weeks} weeks"]
    return _capital("; ".join(said))


def decided_ones(report: Report) -> list[Result]:
    """Returns the metrics that are decided."""
    return [one for one in report.effects or () if isinstance(one, Result) and one.state != "undecided"]


def state_of(report: Report) -> str:
    """Returns since when it is open, or when and why it was closed."""
    one = report.experiment
    if one.closed is None:
        return f"open since {one.opened:%F}"
    return f"closed {one.closed:%F} ({one.reason})"


def signed(lift: float | None) -> str:
    """Returns a lift in percent for people."""
    return "–" if lift is None else f"{100 * lift:+.2f} %"


def interval_said(interval: Interval | None) -> str:
    """Returns the ends of a lift's interval for people."""
    if interval is None or not math.isfinite(interval.low) or not math.isfinite(interval.high):
        return "not yet"
    return f"{100 * interval.low:+.2f} … {100 * interval.high:+.2f} %"


def carry_over_said(report: Report) -> str:
    """Returns whether both arms were alike before anybody was treated."""
    carried = ", ".join(report.carried_over)
    if carried:
        return f"both arms differed in week 0: {carried}; an earlier experiment still works, or data are missing"
    return "none: both arms were alike in week 0"


def weeks_said(weeks: Sequence[int]) -> str:
    """Returns numbers of weeks in short, e.g. "1–3, 5"."""
    runs: list[list[int]] = []
    for week in weeks:
        if runs and week == runs[-1][-1] + 1:
            runs[-1].append(week)
        else:
            runs.append([week])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def left_out(report: Report) -> list[str]:
    """Returns weeks that are in no effect of a metric, and why."""
    found = (one for one in (*(report.effects or ()), *report.others) if isinstance(one, Result))
    return [f"{one.metric} without week {week}: {why}" for one in found for week, why in one.left_out]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
