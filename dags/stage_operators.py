"""The kinds of task of a product's DAGs, and how they react to exit codes of the job.

0   done
2   bad input or configuration       a retry cannot help: fails at once
75  input has not arrived yet        retried, after `wait_minutes`
any other                            retried, `retries` times
3, 4, 5 of `discovery wait`          held, failed, past the deadline: fails at once
4 of `discovery exposures land`      records were lost or cannot be read: fails at once
4 of `discovery experiment decide`   the experiment was stopped: fails at once
"""

import functools
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

_BAD_INPUT = 2
_NOT_YET = 75
_GRACE_SECONDS = 20

_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2} ")
_ERROR = re.compile(rf"{_TIME.pattern}error     (.*)", re.DOTALL)
"""How a line of the job's log begins, and the line that says why the job ends: jobs/runtime/log.py and exit.py."""
_MOST_LINES = 40


class _LastError:
    """The last error in a job's log, with the lines that belong to it."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        """The error, or an empty text."""
        return "".join(self._lines[:_MOST_LINES]).rstrip()

    def passing(self, lines: Iterable[str]) -> Iterator[str]:
        """Yields the lines as they come, and keeps the error."""
        is_error = False
        for line in lines:
            if found := _ERROR.search(line):  # Spark's progress may stand before it
                is_error, self._lines = True, [found[1]]
            elif _TIME.match(line):
                is_error = False
            elif is_error:
                self._lines.append(line)
            yield line


class RunReport(BaseOperatorLink):
    """The button of a task that leads to the report of its run; each task writes that as far as the run came."""

    name = "Run report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Returns where the report is; Airflow calls it when the task has ended, well or not, and keeps the answer."""
        words = [*(getattr(operator, "application_args", None) or operator.command)]
        run = words[words.index("--run-id" if "--run-id" in words else "wait") + 1]
        return f"{operator.reports}/{run}/report.html"


class SparkStage(SparkSubmitOperator):
    """One stage of the job; `wait_retries` of its retries are only for input that has not arrived yet.

    reports: address of the folder of the product's runs; None for what makes no run.
    """

    def __init__(self, *, wait_retries: int = 0, reports: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wait_retries = wait_retries
        self.reports = reports
        self.operator_extra_links = () if reports is None else (RunReport(),)

    def execute(self, context: Any) -> None:
        """Submits and waits for the end; raises AirflowFailException if a retry is pointless.

        Its message begins with the error of the job; that of the provider begins with the command.
        """
        self._need_connection()
        self._told = _LastError()
        try:
            super().execute(context)
        except AirflowFailException:
            raise
        except AirflowException as error:
            why = "\n".join(filter(None, [self._told.text, str(error)]))
            if self._is_final(_exit_code(error), context["ti"]):
                raise AirflowFailException(f"{self.task_id} is not tried again: {why}") from error
            raise AirflowException(f"{self.task_id}: {why}") from error

    def on_kill(self) -> None:
        """Stops both Java and the driver's Python; the provider stops only Java, and Python would continue."""
        process = None if self._hook is None else self._hook._submit_sp
        if process is not None and process.poll() is None:
            _end_session(process)
        super().on_kill()

    def _get_hook(self) -> SparkSubmitHook:
        hook = super()._get_hook()
        hook.submit = functools.partial(hook.submit, start_new_session=True)  # type: ignore[method-assign]
        process = hook._process_spark_submit_log
        hook._process_spark_submit_log = lambda lines: process(self._told.passing(lines))  # type: ignore[method-assign]
        return hook

    def _need_connection(self) -> None:
        """Raises AirflowFailException if the connection is missing; the provider would silently submit to YARN."""
        try:
            SparkSubmitHook.get_connection(self._conn_id)
        except AirflowNotFoundException as error:
            raise AirflowFailException(
                f"connection {self._conn_id!r} is missing: define it, e.g. AIRFLOW_CONN_SPARK_DEFAULT="
                """'{"conn_type": "spark", "host": "local[2]", "extra": {"deploy-mode": "client"}}'"""
            ) from error

    def _is_final(self, exit_code: int | None, ti: Any) -> bool:
        if exit_code == _NOT_YET:
            return False
        # `max_tries` grows when a task is cleared, so count from its end
        return exit_code == _BAD_INPUT or ti.try_number > ti.max_tries - self.wait_retries


class _Command(BaseOperator):
    """Runs `discovery` in the job environment; `command` is its argument list, `env` is added to the worker's."""

    template_fields: Sequence[str] = ("command",)
    final: ClassVar[Mapping[int, str]]
    """Exit code after which another try cannot help → what it means."""

    def __init__(self, *, command: Any, env: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.env = env
        self._hook = SubprocessHook()

    def execute(self, context: Any) -> Any:
        """Waits for the command's end; raises AirflowFailException if another try cannot help."""
        self._last_line(self.command)

    def _last_line(self, command: Sequence[str]) -> str:
        """Returns the last line that a command wrote."""
        result = self._hook.run_command(list(command), env={**os.environ, **self.env})
        code = result.exit_code
        if code in self.final:
            raise AirflowFailException(f"exit code {code}: {self.final[code]}")
        if code == _NOT_YET:
            raise AirflowException(f"exit code {code}: input has not arrived yet; see the log above")
        if code != 0:
            raise AirflowException(f"exit code {code}: the command itself failed; see the log above")
        return str(result.output)

    def on_kill(self) -> None:
        """Stops the command with the task."""
        self._hook.send_sigterm()  # type: ignore[no-untyped-call]


class WaitUntilServing(_Command):
    """Runs `discovery wait`: succeeds when the run serves; reports: as of a stage."""

    operator_extra_links = (RunReport(),)

    final: ClassVar = {
        _BAD_INPUT: "bad input or configuration",
        3: "the run is held: `discovery status` shows why",
        4: "the run has failed: `discovery runs` shows why",
        5: "the run did not serve before its deadline",
    }

    def __init__(self, *, reports: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reports = reports


class LandExposures(_Command):
    """Runs `discovery exposures land`."""

    final: ClassVar = {
        _BAD_INPUT: "bad input or configuration",
        4: "landed, but records were lost or cannot be read: `discovery exposures show` says which",
    }


class DecideShare(_Command):
    """Runs `discovery experiment decide`; its result is the share that the run covers, None: that of the settings.

    It waits for the outcomes of last week in its first `wait_retries` tries, and then decides without them.
    """

    final: ClassVar = {
        _BAD_INPUT: "bad input or configuration",
        4: "the experiment was stopped, and no run is made while it is open: `discovery experiment status` shows why",
    }

    def __init__(self, *, wait_retries: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wait_retries = wait_retries

    def execute(self, context: Any) -> float | None:
        """Returns the share of the audience that was decided."""
        ti = context["ti"]
        # `max_tries` grows when a task is cleared, so count from its end
        waits = ti.try_number <= ti.max_tries - (self.retries - self.wait_retries)
        line = self._last_line([*self.command, *(["--wait"] if waits else [])])
        try:
            share: float | None = json.loads(line)["audience_share"]
        except (ValueError, KeyError, TypeError) as error:
            raise AirflowException(f"what the command wrote last is no decision ({error}): {line[:300]}") from error
        return share


def _end_session(leader: subprocess.Popen[str]) -> None:
    """Sends SIGTERM to all processes of the leader's session, so that the job releases its lease; later SIGKILL."""
    deadline = time.monotonic() + _GRACE_SECONDS
    try:
        os.killpg(leader.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            leader.poll()  # a zombie would count as alive
            os.killpg(leader.pid, 0)
            time.sleep(0.1)
        os.killpg(leader.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of them have gone


def _exit_code(error: AirflowException) -> int | None:
    """Returns the exit code of spark-submit, which the provider has only in its message; None if there is none."""
    found = re.search(r"Error code is: (-?\d+)\.", str(error))
    return None if found is None else int(found[1])
