"""`discovery alert`: who is told, and whether it arrives."""

import os
from pathlib import Path

import pytest

from tests.jobs.commands import Discovery
from tests.support.receiver import receiving

SECRET = "T0planted0token"


def configured(alerts: str) -> None:
    config = Path(os.environ["DISCOVERY_CONFIG"])
    config.write_text(f"{config.read_text()}alerts: {alerts}\n")


def test_nobody_is_told(discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALERTS_WEBHOOK", raising=False)
    assert discovery("alert").out == "nobody is told\n"
    tried = discovery("alert", "--test")
    assert tried.code == 2
    assert "set alerts.webhook or alerts.command in the YAML, or ALERTS_WEBHOOK" in tried.log


def test_a_test_arrives_or_says_why_not(discovery: Discovery, product: str) -> None:
    with receiving() as receiver:
        configured(f"{{webhook: '{receiver.address('/' + SECRET)}', command: ['false', '{SECRET}']}}")
        place = f"http://127.0.0.1:{receiver.port}/…"
        assert discovery("alert").out == f"{place}\nthe command false\n"
        assert receiver.documents == []
        tried = discovery("alert", "--test")
        assert (tried.code, tried.out) == (1, f"sent to {place}\nNOT sent to the command false: it ended with 1\n")
        (told,) = receiver.documents
        assert (told["kind"], told["product"], told["run"]) == ("test", product, None)
        assert told["text"].startswith(f"{product}: this is a test of the alerts, nothing is wrong\n")
        data = discovery("alert", "--test", "--json").data
        assert data == [{"to": place, "fault": None}, {"to": "the command false", "fault": "it ended with 1"}]
        assert SECRET not in tried.out + tried.log


def test_the_environment_names_it_for_every_product(discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("ALERTS_WEBHOOK", receiver.address("/x"))
        assert discovery("alert", "--test").code == 0
        assert len(receiver.documents) == 1
    monkeypatch.setenv("ALERTS_WEBHOOK", f"hooks/{SECRET}")
    refused = discovery("alert")
    assert refused.code == 2
    assert "ALERTS_WEBHOOK: is no address of a web server" in refused.log
    assert SECRET not in refused.log
