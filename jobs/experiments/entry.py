"""The week's share as the entry and the command ask for it, with the product's connections."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from conf.environment import Environment
from conf.settings import Settings
from conf.share import Share
from jobs.experiments.deciding import Deciding
from jobs.experiments.decisions import DecisionRecord
from jobs.run.after_serving import errors_as_warnings, note_in_manifest, note_serving
from jobs.run.alert import Alert, send
from jobs.storage.store import Storage
from models.registry import ModelRegistry
from publish.clock import utc_now
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.connect.redis_clients import redis_client
from publish.operate.control import Control
from publish.store.capacity import DeclaredLimits

STOPPED = 4
"""Exit code: the experiment was stopped, so that there is no share to run with."""
_AFTERWARDS = ("discovery unhold", "discovery share 100")
"""What lets runs serve again once the experiment is closed."""


@dataclass(frozen=True)
class WeeklyShare:
    """What the week's run is to cover, and why."""

    decision: DecisionRecord | None
    """None: there is no ramp or no open experiment."""

    @property
    def audience_share(self) -> Share | None:
        """The run's `--audience-share`; None: it is that of the settings, or there is to be no run."""
        return None if self.decision is None or self.exit_code else self.decision.run_share_bp

    @property
    def exit_code(self) -> int:
        """0, or STOPPED."""
        return STOPPED if self.decision is not None and self.decision.action == "stop" else 0

    def text(self) -> str:
        """Returns what was decided."""
        if self.decision is None:
            return "no ramp, or no open experiment: the run has the share of the settings"
        lines = [f"experiment {self.decision.experiment}, week {self.decision.week}: {self.decision}"]
        if self.decision.run_share_bp != self.decision.share_bp and not self.exit_code:
            lines.append(f"the run covers {self.decision.run_share_bp}, so that there are lists once it may serve")
        lines += self.decision.enforced or ()
        if self.exit_code:
            lines.append(f"no run is made while it is open: discovery experiment close, {', '.join(_AFTERWARDS)}")
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """Returns the same for a program; `audience_share` is a fraction."""
        share = self.audience_share
        decision = None if self.decision is None else self.decision.model_dump(mode="json")
        return {"audience_share": None if share is None else share.ratio, "decision": decision}


def weekly_share(settings: Settings, environment: Environment, as_of: dt.date, *, wait: bool) -> WeeklyShare:
    """Returns the share of the week's run, decided now or before. Raises what `Deciding.decide` raises."""
    control, home = _control(settings, environment), Storage(environment.home)
    deciding = Deciding.of(settings, home, control, utc_now())
    if deciding is None:
        return WeeklyShare(None)
    known = deciding.known(as_of)
    decision = deciding.decide(as_of, wait=wait)
    if decision.action == "stop" and decision != known:
        send(_alert(decision), settings)
        if (treatment := control.pointers.read().treatment) is not None:
            _note_that_serves(settings, environment, control, treatment)
    return WeeklyShare(decision)


def _alert(decision: DecisionRecord) -> Alert:
    return Alert(
        kind="stop",
        product=decision.product,
        as_of=decision.as_of,
        cause=f"experiment {decision.experiment}: {decision}",
        also=decision.enforced or (),
        commands=("discovery experiment status", "discovery experiment close", *_AFTERWARDS),
    )


def _control(settings: Settings, environment: Environment) -> Control:
    """Returns the operator's questions and orders; keeps pointers in Kafka too where its address is known."""
    kafka = environment.kafka
    return Control.connect(
        redis_client(environment.need_redis()),
        settings.product,
        log=None if kafka is None else KafkaPointerLog(kafka),
        declared=DeclaredLimits.of(settings.publish),
    )


def _note_that_serves(settings: Settings, environment: Environment, control: Control, run: str) -> None:
    """Notes in the registry and the work folder that the run serves; what serves does not depend on it."""
    home = Storage(environment.home)
    note_in_manifest(settings, home, control, run)
    with errors_as_warnings(run):  # a registry whose address is not known is a warning, too
        note_serving(settings, home, control, ModelRegistry(environment.need_mlflow()), run)
