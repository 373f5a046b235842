"""The end of the month in the terminal: what was decided, and effects beside the planted ones."""

import sys
from collections.abc import Sequence
from typing import Any

from conf.text_table import table
from deploy.month.month import Lived, Month
from deploy.month.plot import BETTER, WORSE, Experiment

_METRIC = "hits"


def summary(month: Month) -> str:
    """Returns the weeks, the effects, and where the seconds went. Raises ChainFailed."""
    weeks = [_row(lived) for lived in month.weeks]
    header = ("week", "experiment", "the ramp decided", "its run", "treated", "answers", "hits per answer")
    effects = [_effect(month, experiment) for experiment in (BETTER, WORSE)]
    seconds = [(what, f"{some:.0f} s") for what, some in month.commands.seconds.items()]
    parts = [
        table(weeks, header, indent=1, to=sys.stdout),
        f" after it: {month.last_decision}",
        table(effects, ("experiment", "planted", "measured", "95 % at any look", ""), indent=1, to=sys.stdout),
        " hits per user of the audience and week, of the treated less the others; planted: without what follows later",
        table(seconds, ("what", "took"), indent=1, to=sys.stdout),
        "\n".join(f" page: {month.page(experiment.name)}" for experiment in (BETTER, WORSE)),
    ]
    return "\n\n".join(parts) + "\n"


def _row(lived: Lived) -> tuple[str, ...]:
    answers = sum(day.answers for day in lived.visited)
    hits = sum(day.hits_of_answers for day in lived.visited)
    return (
        f"{lived.week.number}",
        lived.week.experiment.name,
        lived.decision,
        "serves" if lived.served else "stopped by a gate; that of the week before serves",
        f"{lived.pointer['share_bp'] / 100:g} %",
        f"{answers:,}",
        f"{hits / answers:.3f}" if answers else "–",
    )


def _effect(month: Month, experiment: Experiment) -> tuple[str, ...]:
    found = month.report(experiment.name)
    planted = planted_mean([lived for lived in month.weeks if lived.week.experiment == experiment])
    result = next((one for one in found["effects"] or () if one["metric"] == _METRIC), None)
    looks: list[Any] = [] if result is None else result.get("looks", [])
    if result is None or not looks:
        return (experiment.name, f"{planted:+.3f}", "–", "–", found["headline"])
    newest = looks[-1]
    ends = newest["interval"]
    interval = "not yet" if ends is None else f"{ends[0]:+.3f} … {ends[1]:+.3f}"
    return (experiment.name, f"{planted:+.3f}", f"{newest['difference']:+.3f}", interval, found["headline"])


def planted_mean(weeks: Sequence[Lived]) -> float:
    """Returns the planted effect over weeks, weighed as effects are: by treated · others ÷ all users."""
    weights = [lived.pointer["share_bp"] * (10_000 - lived.pointer["share_bp"]) for lived in weeks]
    pairs = zip(weights, weeks, strict=True)
    return float(sum(weight * lived.planted for weight, lived in pairs)) / (sum(weights) or 1)
