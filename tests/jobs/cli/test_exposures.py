"""`discovery exposures` and its entry: what they say, and with which code they end."""

import subprocess
import sys
from pathlib import Path

import pytest

from conf.connections import KafkaConnection
from deploy.chain import REPO
from jobs.exposures.store import REPORT, LandingStore
from jobs.storage.store import Storage
from publish.wire.announcement import Announcement
from tests.jobs.commands import Discovery
from tests.jobs.exposures.test_landing import delete_before
from tests.jobs.exposures.world import send
from tests.publish.support.exposing import answer_for, log_of


def answered(kafka: KafkaConnection, product: str, users: int) -> None:
    """Answers to some users, by a service that stopped."""
    with log_of(kafka, product) as log:
        for user in range(users):
            log.log(answer_for(user), "feed")
    assert log.delivered == users


def test_land_and_show(discovery: Discovery, broker: KafkaConnection, product: str, tmp_path: Path) -> None:
    answered(broker, product, 20)
    shown = discovery("exposures", "show", "--json").data
    assert (shown["lag"], shown["totals"]["landed"], shown["now"]) == (21, 0, None)
    said = discovery("exposures", "land")
    assert said.code == 0, said.log
    assert said.out.startswith("landed     20 answers in 1 batches (20 so far); 0 records came meanwhile\n")
    assert "missing    0 answers" in said.out
    assert "runs that nobody announced, landed all the same: 20261116T030000Z-20261116-1 (20)" in said.out
    again = discovery("exposures", "land", "--json")
    assert (again.code, again.data["now"]["batches"], again.data["totals"]["landed"]) == (0, 0, 20)
    store = LandingStore.of(Storage(str(tmp_path / "home")), product)
    assert b'"lag": 0' in store.at.read_bytes(REPORT)
    assert "landed     20 answers so far, last 20" in discovery("exposures", "show").out


def test_what_is_lost_is_an_exit_code_once(discovery: Discovery, broker: KafkaConnection, product: str) -> None:
    answered(broker, product, 20)
    delete_before(broker, product, 2)
    lost = discovery("exposures", "land")
    assert lost.code == 4
    assert "LOST       partition 0: 2 records were deleted from the topic" in lost.out
    assert discovery("exposures", "land").code == 0


def test_what_cannot_be_read_is_an_exit_code_once(discovery: Discovery, broker: KafkaConnection, product: str) -> None:
    send(broker, product, [(0, b"x", b"\xff")])
    said = discovery("exposures", "land")
    assert said.code == 4
    assert "SET ASIDE  1 that cannot be read, with place and reason: _unusable/" in said.out
    assert discovery("exposures", "land").code == 0


def test_a_second_one_is_told_to_come_later(
    discovery: Discovery, broker: KafkaConnection, product: str, tmp_path: Path
) -> None:
    with LandingStore.of(Storage(str(tmp_path / "home")), product).locked():
        said = discovery("exposures", "land")
    assert said.code == 75
    assert "is under way there; come back when it has ended" in said.log


def test_without_kafka_or_topic(discovery: Discovery, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    assert discovery("exposures", "land").code == 2
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    missing = discovery("exposures", "land")
    assert missing.code == 1
    assert "exposures.v1 yet; the first push or loader creates it" in missing.log


def test_the_entry(
    broker: KafkaConnection, serving: Announcement, product: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where Spark is not installed, too."""
    answered(broker, product, 5)
    code = "import sys, runpy; sys.modules['pyspark'] = None; sys.argv = sys.argv[1:]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    config = str(tmp_path / "product.yml")
    argv = [sys.executable, "-c", code, f"{REPO}/jobs/land_exposures.py", "--config", config]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, cwd=REPO)
    assert done.returncode == 0, done.stderr
    assert "landed     5 answers in 1 batches" in done.stderr


def test_status_says_where_landing_stands(discovery: Discovery, broker: KafkaConnection, product: str) -> None:
    assert discovery("status", "--json").data["answers"] is None
    assert "answers" not in discovery("status").out
    answered(broker, product, 20)
    assert (
        "answers       21 wait in the topic, nothing is landed yet (discovery exposures show)"
        in discovery("status").out
    )
    discovery("exposures", "land")
    assert "answers       0 wait in the topic, last landed 20" in discovery("status").out


def test_a_forgotten_user_leaves_the_landed_files(
    discovery: Discovery,
    kafka: KafkaConnection,
    serving: Announcement,
    product: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    assert discovery("forget", "59").code == 0  # makes the topics as the settings say
    answered(kafka, product, 20)
    discovery("exposures", "land")
    said = discovery("forget", "7")
    assert said.code == 0, said.log
    assert "answers 1 deleted from " in said.out
    again = discovery("forget", "7", "--json").data
    assert (again["known_before"], again["answers_deleted"]) == (True, 0)
    assert discovery("exposures", "land").code == 0
    assert discovery("exposures", "show", "--json").data["lag"] == 0
