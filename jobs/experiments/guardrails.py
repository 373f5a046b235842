"""Guardrails and sizes of an experiment's arms, judged alike where the share is decided and where it is reported."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from conf.ramp import RampSettings
from jobs.experiments.weeks import SumsRecord, arms_by_week
from models.experiment.decide import HARM_ALPHA, Guardrail, Harm, harm_of
from models.experiment.effects import Week
from models.experiment.metric import Metric
from models.experiment.mismatch import FirstSeen, Mismatch, mismatch_of
from models.experiment.moments import Moments, Slice

Counts = Literal["first_seen", "joined", "robots"]
_SAID: Mapping[Counts, str] = {"first_seen": "were seen", "joined": "joined the audience", "robots": "were robots"}


def mismatch_in(record: SumsRecord, counts: Counts) -> Mismatch:
    """Returns the sample-ratio mismatch of the users who are counted, each in one week."""
    return mismatch_of([FirstSeen(*week) for week in arms_by_week(record, counts)], _SAID[counts])


def guardrails_of(ramp: RampSettings | None) -> list[Guardrail]:
    """Returns the guardrails of the settings; without a ramp there are none."""
    found = {} if ramp is None else ramp.guardrails
    return [Guardrail(metric, one.margin, one.better) for metric, one in found.items()]


def harms_of(
    record: SumsRecord, moments: Mapping[str, Mapping[Slice, Moments]], guardrails: Sequence[Guardrail]
) -> Iterator[Harm]:
    """Yields what each guardrail says by all measured weeks; moments: metric → its sums, of guardrails at least."""
    weeks = [Week(week.number, week.share_bp) for week in record.weeks[1:] if week.share_bp is not None]
    for guardrail in guardrails:
        name, alpha = guardrail.metric, HARM_ALPHA / len(guardrails)
        if name in moments:
            ratio = Metric.parse(name).parts is not None
            yield harm_of(guardrail, moments[name], weeks, alpha=alpha, ratio=ratio, cuped=True)
        else:
            yield Harm(guardrail, "unknown", f"{name}: not measured: nobody did any of it")
