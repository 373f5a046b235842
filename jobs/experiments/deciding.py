"""The week's decision on the share of an experiment: what is known goes into the ramp, and a stop is enforced."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from conf.errors import NotYet
from conf.experiment import Experiment
from conf.ramp import RampSettings
from conf.settings import Settings
from conf.share import NOBODY, Share
from jobs.experiments.decisions import DecisionRecord, DecisionStore, Guarded
from jobs.experiments.guardrails import guardrails_of, harms_of, mismatch_in
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.experiments.weeks import SumsRecord, WeekStore
from jobs.storage.store import Storage
from models.experiment.decide import Harm
from models.experiment.mismatch import Mismatch
from models.experiment.ramp import Known, Operator, Ramp, decide
from publish.errors import RunRefused
from publish.operate.control import Control
from publish.runs.pointer import Pointer


class NotMeasured(NotYet):
    """The outcomes of the week that is over are not there yet."""


@dataclass(frozen=True)
class Deciding:
    """The decision of one product's open experiment."""

    settings: Settings
    ramp: RampSettings
    experiments: ExperimentStore
    experiment: Experiment
    control: Control
    now: dt.datetime

    @classmethod
    def of(cls, settings: Settings, home: Storage, control: Control, now: dt.datetime) -> "Deciding | None":
        """Returns it; None: there is no ramp, or no open experiment. Raises DamagedExperiment."""
        ramp, experiments = settings.rollout.ramp, ExperimentStore.of(home, settings.product)
        if ramp is None:
            return None
        experiment = experiments.find_open()
        return None if experiment is None else cls(settings, ramp, experiments, experiment, control, now)

    @property
    def store(self) -> DecisionStore:
        """Where its decisions are kept."""
        return DecisionStore.of(self.experiments, self.experiment.name)

    def known(self, as_of: dt.date) -> DecisionRecord | None:
        """Returns what was decided for the week before now; None: nothing. Raises DamagedDecision."""
        return self.store.find(self.experiment.weeks_over(as_of))

    def decide(self, as_of: dt.date, *, wait: bool) -> DecisionRecord:
        """Returns the decision of the week, made now or before; a stop is enforced.

        wait: whether to wait for the outcomes of last week. Raises NotMeasured if they are not there then,
        ExperimentError if a later week is decided, DamagedSums, DamagedDecision, StoreUnreachable.
        """
        week = self.experiment.weeks_over(as_of)
        there = self.store.find(week)
        if there is None:
            earlier = self.store.all()
            if later := [one for one in earlier if one.week > week]:
                raise ExperimentError(
                    f"--as-of {as_of}: the share of experiment {self.experiment.name} was decided as of "
                    f"{later[-1].as_of} already, and weeks are decided in their order; name a later day"
                )
            there = self.store.write(self._decided(week, as_of, earlier, wait=wait))
        if there.action == "stop" and there.enforced is None:
            there = self.store.write(there.model_copy(update={"enforced": tuple(self._enforce(there))}))
        return there

    def _decided(self, week: int, as_of: dt.date, earlier: list[DecisionRecord], *, wait: bool) -> DecisionRecord:
        pointer = self.control.pointers.read()
        operator = Operator(
            killed=pointer.cap_bp == NOBODY,
            held=pointer.hold is not None,
            cap_bp=int(pointer.cap_bp),
            approved_bp=int(max(self.store.approved, self.ramp.steps[0])),  # who opens it approves the first step
        )
        sums = self._newest_sums(week)
        known = self._known(week, sums, self._treated(pointer), stopped=any(one.action == "stop" for one in earlier))
        is_free = not (known.stopped or operator.killed or operator.held)
        if wait and is_free and known.share_bp and not known.measured:
            raise NotMeasured(
                f"week {week} of experiment {self.experiment.name} is not measured yet: jobs/measure_outcomes.py --day "
                f"{self.experiment.last_day_of(week)} does so; the share is decided after it"
            )
        ramp = Ramp(tuple(map(int, self.ramp.steps)), self.ramp.approve)
        made = decide(ramp, known, operator)
        return DecisionRecord(
            product=self.experiment.product,
            experiment=self.experiment.name,
            week=week,
            as_of=as_of,
            decided=self.now,
            action=made.action,
            share_bp=Share(made.share_bp),
            run_share_bp=self._covered(made.share_bp, pointer),
            reasons=made.reasons,
            before_bp=Share(known.share_bp),
            cap_bp=pointer.cap_bp,
            held=None if pointer.hold is None else pointer.hold.reason,
            approved_bp=Share(operator.approved_bp),
            sums=None if sums is None else sums.sha256,
            guardrails=tuple(map(_guarded, known.harms)),
            mismatch=None if known.mismatch is None else str(known.mismatch),
            enforced=() if known.stopped else None,  # once; what people did since then stays
        )

    def _treated(self, pointer: Pointer) -> int:
        """Returns the share that is treated now: of nobody where another salt decides who is."""
        return int(pointer.share_bp) if self._is_ours(pointer) else 0

    def _covered(self, share_bp: int, pointer: Pointer) -> Share:
        """Returns the share of the run: also while nobody may be treated it is made, so that a control is."""
        first = self.ramp.steps[0]
        return Share(share_bp or int(first if pointer.cap_bp == NOBODY else min(first, pointer.cap_bp)))

    def _newest_sums(self, week: int) -> SumsRecord | None:
        """Returns the newest sums of no later week than this one; None: no week is measured. Raises DamagedSums."""
        sums = WeekStore.of(self.experiments, self.experiment.name).sums()
        return sums[max(known)] if (known := [one for one in sums if one <= week]) else None

    def _known(self, week: int, sums: SumsRecord | None, share_bp: int, *, stopped: bool) -> Known:
        """Returns what the weeks until now have shown, as far as they are measured."""
        if sums is None:
            return Known(share_bp, measured=not week, whole_week=False, stopped=stopped)
        mismatch = mismatch_among(sums)
        harms = () if mismatch.found else tuple(self._harms(sums))
        return Known(
            share_bp,
            measured=sums.week == week,
            whole_week=sums.week == week and sums.weeks[-1].share_bp == share_bp,
            stopped=stopped,
            mismatch=mismatch,
            harms=harms,
        )

    def _harms(self, sums: SumsRecord) -> Iterator[Harm]:
        """Returns what each guardrail says."""
        guardrails = guardrails_of(self.ramp)
        store = WeekStore.of(self.experiments, self.experiment.name)
        return harms_of(sums, store.moments(sums, {one.metric for one in guardrails}), guardrails)

    def _enforce(self, decision: DecisionRecord) -> Iterator[str]:
        """Caps the share at 0, then goes back to the run before; yields what was done. May be repeated.

        What serves without the experiment is left as it is.
        """
        reason = f"experiment {self.experiment.name}: {decision}"[:1_000]
        pointer = self.control.pointers.read()
        if self._is_ours(pointer):
            pointer = self.control.share(NOBODY, reason=reason).pointer
            yield "the share is capped at 0 %"
        if pointer.hold is not None:  # an operator's, or an earlier try's
            yield f"held: {pointer.hold.reason}"
            return
        if fault := self._no_way_back(pointer):
            self.control.hold(reason)
            yield f"held, and not rolled back: {fault}"
            return
        try:
            after = self.control.rollback(reason=reason)
            yield f"rolled back from {pointer.treatment} to {after.treatment}, and held"
        except RunRefused as refused:
            self.control.hold(reason)
            yield f"held, and not rolled back: {refused}"

    def _no_way_back(self, pointer: Pointer) -> str | None:
        """Returns why going back to the run before would help nobody, if so."""
        if not self._is_ours(pointer):
            return "no run of the experiment serves"
        if pointer.control is not None and pointer.previous_control is None:
            return f"the run before has no control, and everybody gets the lists of {pointer.control} now"
        return None

    def _is_ours(self, pointer: Pointer) -> bool:
        return pointer.treatment is not None and pointer.salt == self.experiment.salt


def mismatch_among(sums: SumsRecord) -> Mismatch:
    """Returns the sample-ratio mismatch of the users seen or, if only there is one, of the audience."""
    seen = mismatch_in(sums, "first_seen")
    joined = mismatch_in(sums, "joined")
    return joined if joined.found and not seen.found else seen


def _guarded(harm: Harm) -> Guarded:
    rail = harm.guardrail
    return Guarded(metric=rail.metric, margin=rail.margin, better=rail.better, state=harm.state, said=harm.said)
