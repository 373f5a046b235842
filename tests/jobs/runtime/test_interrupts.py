"""Ctrl-C ends a job with one line and exit code 130, whatever breaks on the way down."""

import logging
import os
import signal
import time
from collections.abc import Callable

import pytest

from conf.errors import DiscoveryError
from jobs.runtime.exit import report
from jobs.runtime.interrupts import Stop
from tests.jobs.pressed import pressed


def press(number: signal.Signals = signal.SIGINT) -> None:
    """As a terminal or a scheduler does; the handler runs before this returns."""
    os.kill(os.getpid(), number)
    time.sleep(5)


def breaking(error: Exception) -> Callable[[], None]:
    """Work that is interrupted and then fails, as a call into a JVM that Ctrl-C has ended."""

    def work() -> None:
        try:
            press()
        finally:
            logging.getLogger().error("KeyboardInterrupt while sending command.")  # as py4j does
            raise error

    return work


@pytest.mark.parametrize("work", [press, breaking(RuntimeError("py4j\n" * 48)), breaking(DiscoveryError("Redis"))])
def test_a_job_that_is_interrupted_says_so_and_nothing_else(
    work: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert report(work, again="start the same command again") == 130
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert "error     interrupted; start the same command again to go on" in said[0]
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_is_told_as_ctrl_c_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert report(lambda: press(signal.SIGTERM), again="start it again") == 130
    assert "error     interrupted; start it again" in capfd.readouterr().err


def test_what_nobody_interrupted_is_told_as_ever(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise DiscoveryError("Redis cannot be reached")

    assert report(work, again="") == 1
    assert "error     Redis cannot be reached" in capfd.readouterr().err


def test_a_line_that_nobody_can_read_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", closed)
    with pytest.raises(KeyboardInterrupt), Stop("interrupted") as stop:
        press()
    assert stop.asked


@pytest.mark.parametrize("entry", ["prod_discovery", "publish_topn", "tune_embeddings"])
def test_ctrl_c_among_the_imports(entry: str) -> None:
    code, said = pressed([f"jobs/{entry}.py"], 0)
    assert code == 130
    assert len(said) == 1
    assert "error     interrupted" in said[0]
