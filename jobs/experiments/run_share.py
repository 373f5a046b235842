"""The share of a run that nobody named one for, while an experiment with a ramp is open."""

import datetime as dt

from conf.settings import Settings
from conf.share import Share
from jobs.experiments.decisions import DecisionStore
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.storage.store import Storage


def share_of_ramp(settings: Settings, home: Storage, as_of: dt.date) -> Share | None:
    """Returns the share that the ramp last decided, before any decision its first step; None: there is no ramp to ask.

    Raises ExperimentError if the experiment was stopped, DamagedExperiment, DamagedDecision.
    """
    ramp, experiments = settings.rollout.ramp, ExperimentStore.of(home, settings.product)
    experiment = None if ramp is None else experiments.find_open()
    if ramp is None or experiment is None:
        return None
    week = experiment.weeks_over(as_of)
    decisions = [one for one in DecisionStore.of(experiments, experiment.name).all() if one.week <= week]
    if not decisions:
        return ramp.steps[0]
    if any(one.action == "stop" for one in decisions):
        raise ExperimentError(
            f"experiment {experiment.name} was stopped, so no share is decided: discovery experiment close; or name "
            "the share of this run yourself: --audience-share"
        )
    return decisions[-1].run_share_bp
