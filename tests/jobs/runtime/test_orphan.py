"""A driver ends with the JVM that it runs under, however little of that JVM is left to ask."""

import subprocess
import sys

import psutil
import pytest

from jobs.runtime.orphan import _lives


def test_a_process_lives_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)
        assert _lives(process)
        child.kill()
    assert not _lives(process)


def test_one_that_is_reaped_between_the_questions_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    process = psutil.Process()

    def gone() -> str:
        raise psutil.NoSuchProcess(process.pid)

    monkeypatch.setattr(process, "status", gone)
    assert process.is_running()
    assert not _lives(process)
