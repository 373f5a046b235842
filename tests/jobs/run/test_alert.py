"""Who is told when a gate stops a run: a real web server, real commands; and a hook that fails changes nothing."""

import base64
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import GateFailed
from jobs.run.alert import alert_of, tell
from jobs.run.context import Run
from tests.expectations.drift.test_gate import LOST, finding, judged
from tests.jobs.runs import run_in
from tests.publish.support.pushing import eventually
from tests.support.receiver import Receiver, receiving

SECRET = "T0planted0token"
USERS = finding("users", state="alarm", p=1e-5, value=1.0)
CAUSE = "clicks: events a day 12,400 on the days 2026-11-09 to 2026-11-15, where 30,100 to 41,000 is usual"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_installation(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("ALERTS_WEBHOOK", raising=False)
    caplog.set_level(logging.INFO, "discovery")


def failure() -> GateFailed:
    with pytest.raises(GateFailed) as caught:
        judged(LOST, USERS)
    return caught.value


def run_with(home: Path, **alerts: Any) -> Run:
    run, _ = run_in(home)
    return Run(_with(run, alerts), run.home, run.servers, run.lease, run.manifest)


def _with(run: Run, alerts: dict[str, Any]) -> Any:
    tree = run.settings.model_dump(mode="json") | {"alerts": {"timeout_seconds": 300, **alerts}}
    return type(run.settings).model_validate(tree)


def command_that(does: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"import os, sys, json, time; {does}", *arguments]


def warning(caplog: pytest.LogCaptureFixture) -> str:
    """The one warning, which has one line and no secret."""
    assert SECRET not in caplog.text
    (said,) = [text for text in messages(caplog) if text.startswith("warning ")]
    assert "\n" not in said
    return said


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "discovery"]


def test_a_webhook_gets_what_a_person_must_know(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_with(tmp_path, webhook=receiver.address(f"/services/{SECRET}"))
    error = failure()
    tell(run, error)
    ((method, path, headers),) = receiver.requests
    assert (method, path, headers["Content-Type"]) == ("POST", f"/services/{SECRET}", "application/json")
    (told,) = receiver.documents
    text = told.pop("text")
    assert told == {
        "kind": "gate",
        "product": "test",
        "run": run.run_id,
        "as_of": str(run.as_of),
        "gate": "input_drift",
        "cause": CAUSE,
        "also": ["clicks.users"],
        "users": 1_234_567,
        "commands": list(error.stopped.commands),
        "folder": run.folder.uri,
    }
    assert CAUSE in str(error)
    assert told["commands"][0] == "discovery drift show run 7"
    assert text.splitlines()[0] == f"test: gate input_drift stopped run {run.run_id}: {CAUSE}"
    assert "Users concerned: 1,234,567" in text
    assert messages(caplog) == [f"alert     sent to http://127.0.0.1:{receiver.port}/…"]


def test_a_command_gets_it_on_stdin_and_its_first_line_as_a_variable(tmp_path: Path) -> None:
    does = "open(sys.argv[1], 'w').write(json.dumps([json.load(sys.stdin), os.environ['DISCOVERY_ALERT']]))"
    run, kept = run_with(tmp_path, command=command_that(does, str(tmp_path / "told"))), tmp_path / "told"
    tell(run, failure())
    document, line = json.loads(kept.read_text())
    assert (document["cause"], document["users"]) == (CAUSE, 1_234_567)
    assert line == document["text"].splitlines()[0]


def test_the_address_may_come_from_the_environment_and_the_yaml_wins(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERTS_WEBHOOK", receiver.address("/installation"))
    tell(run_with(tmp_path), failure())
    tell(run_with(tmp_path, webhook=receiver.address("/product")), failure())
    assert [path for _, path, _ in receiver.requests] == ["/installation", "/product"]


def test_a_user_and_password_become_a_header(tmp_path: Path, receiver: Receiver) -> None:
    tell(run_with(tmp_path, webhook=receiver.address("/", f"eva:{SECRET}%40@")), failure())
    ((_, _, headers),) = receiver.requests
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"eva:{SECRET}@"


def test_a_name_from_the_data_calls_nobody_in_a_chat(tmp_path: Path, receiver: Receiver) -> None:
    with pytest.raises(GateFailed) as caught:
        judged(finding("share_of_<!channel>", state="alarm", value=0.1))
    tell(run_with(tmp_path, webhook=receiver.address()), caught.value)
    (told,) = receiver.documents
    assert "<" not in told["text"]
    assert "<!channel>" in told["cause"]


def test_a_gate_that_could_not_measure_tells_it_too(tmp_path: Path, receiver: Receiver) -> None:
    from conf.gates import GateSettings
    from expectations.gate import check_drift

    def broken() -> Any:
        raise OSError("no such file")

    run = run_with(tmp_path, webhook=receiver.address())
    with pytest.raises(GateFailed) as caught:
        check_drift("list_drift", broken, GateSettings(), {}, as_of=run.as_of, run=run.run_id)
    tell(run, caught.value)
    (told,) = receiver.documents
    assert (told["gate"], told["users"], told["commands"]) == ("list_drift", None, [])
    assert told["cause"] == "measured_and_judged is OSError: no such file, allowed: an answer within 1,800 s"
    assert told["cause"] in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said", "headers", "told"),
    [
        (404, "no_service", {}, "it answered 404 (no_service)"),
        (500, f"<p>cannot post /services/{SECRET}</p>", {}, "it answered 500"),
        (302, "", {"Location": "/elsewhere"}, "it answered 302"),
    ],
)
def test_a_refusal_is_a_line_in_the_log(
    tmp_path: Path,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    code: int,
    said: str,
    headers: dict[str, str],
    told: str,
) -> None:
    receiver.code, receiver.said, receiver.headers = code, said, headers
    tell(run_with(tmp_path, webhook=receiver.address(f"/services/{SECRET}")), failure())
    assert len(receiver.requests) == 1
    assert f"did not reach http://127.0.0.1:{receiver.port}/…: {told};" in warning(caplog)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (f"http://eva:{SECRET}@127.0.0.1:1/x?token={SECRET}", "Connection refused"),
        (f"http://no-such-host.invalid/{SECRET}", ""),
        (f"https://127.0.0.1:{{port}}/{SECRET}", ""),
    ],
)
def test_who_cannot_be_reached_is_named_without_a_secret(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture, address: str, told: str
) -> None:
    tell(run_with(tmp_path, webhook=address.format(port=receiver.port)), failure())
    assert told in warning(caplog)


def test_a_server_that_drips_is_waited_for_no_longer_than_allowed(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.seconds = 0.5
    tell(run_with(tmp_path, webhook=receiver.address(), timeout_seconds=1), failure())
    assert "no answer within 1 s (alerts.timeout_seconds)" in warning(caplog)


@pytest.mark.parametrize(
    ("does", "seconds", "told"),
    [
        ("sys.exit(3)", 300, "it ended with 3;"),
        (f"sys.exit('no route: https://pager/{SECRET} ' + sys.argv[1])", 300, "it ended with 1: no route: *** ***;"),
        ("time.sleep(600)", 1, "it had not ended after 1 s and was stopped (alerts.timeout_seconds);"),
    ],
)
def test_a_command_that_fails_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, does: str, seconds: int, told: str
) -> None:
    tell(run_with(tmp_path, command=command_that(does, SECRET), timeout_seconds=seconds), failure())
    assert f"did not reach the command {sys.executable}: {told}" in warning(caplog)


def test_a_command_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tell(run_with(tmp_path, command=["no-such-pager", SECRET]), failure())
    assert "it cannot be started (No such file or directory); see alerts.command" in warning(caplog)


def test_what_a_stopped_command_has_started_is_stopped_too(tmp_path: Path) -> None:
    child = tmp_path / "child"
    command = ["sh", "-c", f"sleep 600 & echo $! > {child}; wait"]
    for seconds in (1, 10, 60):  # on a busy machine it may be stopped before it has started anything
        tell(run_with(tmp_path / str(seconds), command=command, timeout_seconds=seconds), failure())
        if child.exists() and child.read_text():
            break
    eventually(lambda: not _runs(int(child.read_text())))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_may_leave_a_child_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    child = tmp_path / "child"
    tell(run_with(tmp_path, command=["sh", "-c", f"sleep 600 & echo $! > {child}"]), failure())
    assert "sent to the command sh" in caplog.text
    os.kill(int(child.read_text()), signal.SIGKILL)


def test_both_are_told_though_one_fails(tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.code = 500
    kept = tmp_path / "told"
    command = command_that("open(sys.argv[1], 'w').write(sys.stdin.read())", str(kept))
    tell(run_with(tmp_path, webhook=receiver.address(), command=command), failure())
    assert "it answered 500" in warning(caplog)
    assert json.loads(kept.read_text())["kind"] == "gate"


def test_an_end_that_needs_nobody_tells_nobody(tmp_path: Path, receiver: Receiver) -> None:
    run = run_with(tmp_path, webhook=receiver.address())
    for error in (KeyboardInterrupt(), OSError("disk full"), ValueError("a bug")):
        assert alert_of(run, error) is None
        tell(run, error)
    tell(run_with(tmp_path), failure())
    assert receiver.requests == []


def test_no_run_keeps_the_address(tmp_path: Path) -> None:
    settings = run_with(tmp_path, webhook=f"https://host/{SECRET}", command=["pager", SECRET]).settings
    assert SECRET not in settings.model_dump_json() + str(settings.model_dump()) + repr(settings.alerts.webhook)


@pytest.mark.parametrize("webhook", [f"ftp://host/{SECRET}", SECRET, f"https://a b/{SECRET}", f"http://h:x{SECRET}/"])
def test_an_impossible_address_is_refused_without_being_shown(tmp_path: Path, webhook: str) -> None:
    from conf.errors import ConfigError
    from conf.load import load_settings

    product, overlay = Path("conf/prod_discovery.yml"), tmp_path / "overlay.yml"
    overlay.write_text(f"alerts: {{webhook: {json.dumps(webhook)}}}")
    with pytest.raises(ConfigError, match="write https://host/path") as caught:
        load_settings(product, [overlay])
    assert SECRET not in str(caught.value)
    overlay.write_text(f"alerts: {json.dumps(webhook)}")
    with pytest.raises(ConfigError, match="alerts") as caught:
        load_settings(product, [overlay])
    assert SECRET not in str(caught.value)
