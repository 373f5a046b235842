"""What a person is told when a run stops and somebody must act, and who is told it."""

import datetime as dt
from typing import Any, Literal

from conf.base import Strict
from conf.environment import Environment
from conf.settings import Settings
from expectations.errors import GateFailed
from jobs.run.context import Run
from jobs.run.hook import Hook
from jobs.runtime.log import log, log_step


class Alert(Strict):
    """One alert; as JSON it is what a hook gets."""

    kind: Literal["gate", "stop", "test"]
    """What happened: a gate stopped a run, an experiment was stopped, or somebody tries the hook."""
    product: str
    cause: str
    """One sentence: what is wrong, as the run's error has it."""
    run: str | None = None
    as_of: dt.date | None = None
    gate: str | None = None
    also: tuple[str, ...] = ()
    """Names of what else is wrong."""
    users: int | None = None
    """Users concerned; None: not known."""
    commands: tuple[str, ...] = ()
    """Ways to go on."""
    folder: str | None = None
    """Folder of the run, with the reports."""

    @property
    def document(self) -> dict[str, Any]:
        """The alert as JSON values, with `text`, which a chat shows."""
        return {"text": self._text, **self.model_dump(mode="json")}

    @property
    def _text(self) -> str:
        """Returns lines for a chat; the first one says all that fits into a notification."""
        lines = [f"{self.product}: {self.cause}"]
        if self.gate is not None:
            lines = [f"{self.product}: gate {self.gate} stopped run {self.run}: {self.cause}"]
            lines.append("What serves goes on to serve.")
        if self.users is not None:
            lines.append(f"Users concerned: {self.users:,}")
        if self.also:
            lines.append(f"Also: {', '.join(self.also)}")
        lines += [f"• `{command}`" for command in self.commands]
        return "\n".join([*lines, *([f"Folder: {self.folder}"] if self.folder else [])])


def alert_of(run: Run, error: BaseException) -> Alert | None:
    """Returns the alert about what ended a run; None where nobody must act."""
    if not isinstance(error, GateFailed):
        return None
    stopped = error.stopped
    return Alert(
        kind="gate",
        product=run.settings.product,
        run=run.run_id,
        as_of=run.as_of,
        gate=error.report.gate,
        cause=stopped.cause,
        also=stopped.also,
        users=stopped.users,
        commands=stopped.commands,
        folder=run.folder.uri,
    )


def try_of(product: str) -> Alert:
    """Returns an alert that says that it is none."""
    cause = "this is a test of the alerts, nothing is wrong"
    return Alert(kind="test", product=product, cause=cause, commands=("discovery status",))


def tell(run: Run, error: BaseException) -> None:
    """Calls the hook if a person must act on what ended a run; what becomes of that is a line in the log.

    The error stays what the run ends with: nothing is raised here but KeyboardInterrupt.
    """
    try:
        alert = alert_of(run, error)
    except Exception as fault:  # noqa: BLE001 - the run's own error must be what is reported
        log.warning("warning   the alert could not be sent: %s", type(fault).__name__)
        return
    if alert is not None:
        send(alert, run.settings)


def send(alert: Alert, settings: Settings) -> None:
    """Calls the product's hook; what becomes of that is a line in the log, and nothing is raised."""
    try:
        hook = Hook.of(settings.alerts, Environment.read().webhook)
        for sent in hook.tell(alert.document):
            if sent.fault is None:
                log_step("alert", f"sent to {sent.to}")
            else:
                log.warning(
                    "warning   the alert did not reach %s: %s; try it: discovery alert --test", sent.to, sent.fault
                )
    except Exception as fault:  # noqa: BLE001 - the run's own error must be what is reported
        log.warning("warning   the alert could not be sent: %s", type(fault).__name__)
