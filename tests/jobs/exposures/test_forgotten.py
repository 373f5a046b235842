"""Forgotten users are in no landed file, whenever they were forgotten, and leave the topic with the next landing."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from conf.connections import KafkaConnection
from jobs.exposures.scrub import forget_answers, scrub
from jobs.exposures.store import LandingStore, LandingUnderWay
from jobs.storage.store import Storage
from publish.runs.erasures import Erasure, ErasureLog
from tests.jobs.exposures.conftest import Land
from tests.jobs.exposures.test_kills import Killed, store_at
from tests.jobs.exposures.test_landing import kept_records
from tests.jobs.exposures.world import NOW, exposure, send, three_days, tree_of, users_of


def forget(kafka: KafkaConnection, product: str, user: int) -> None:
    ErasureLog(kafka, product).append(Erasure(user=str(user), at=NOW, reason="asked by letter"))


def test_who_was_forgotten_before_is_never_landed(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    forget(kafka, product, 7)
    send(kafka, product, [*three_days(), (0, b"7", b"\xff")])
    landed = land()
    assert users_of(store) == [user for user in range(60) if user != 7]
    assert (landed.found.erased, landed.found.unusable) == (2, 0)
    assert [writer.missing for writer in landed.state.writers.values()] == [0], "left out is not missing"


def test_who_is_forgotten_leaves_the_files_at_once_and_the_topic_with_the_next_landing(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, [*three_days(), (0, b"7", b"\xff"), (0, b"8", b"\xff")])
    land()
    before = tree_of(store)
    forget(kafka, product, 7)
    assert forget_answers(store, {7}) == 2
    assert users_of(store) == [user for user in range(60) if user != 7]
    after = tree_of(store)
    assert sum(after.get(path) != content for path, content in before.items()) == 2, "only files that held the user"
    assert forget_answers(store, {7}) == 0
    assert kept_records(kafka, product) == 63
    send(kafka, product, [exposure(7, 60), exposure(8, 61)])
    landed = land()
    assert (landed.found.landed, landed.found.erased, landed.losses) == (1, 1, ())
    assert kept_records(kafka, product) == 0
    send(kafka, product, [exposure(9, 62)])
    assert land().found.landed == 1
    assert kept_records(kafka, product) == 1, "nobody was forgotten since"


def test_a_landing_finds_who_was_forgotten_while_it_was_at_work(
    kafka: KafkaConnection, product: str, land: Land, tmp_path: Path
) -> None:
    @dataclass(frozen=True)
    class Interrupted(Storage):
        """Somebody forgets a user behind the first file of answers, and looks at the files in vain or not."""

        def write_bytes(self, path: str, content: bytes) -> None:
            first = path.startswith("dt=") and not any(name.startswith("dt=") for name, _ in self.tree(""))
            super().write_bytes(path, content)
            if first:
                for user in range(20):
                    forget(kafka, product, user)
                with pytest.raises(LandingUnderWay):
                    forget_answers(LandingStore(Storage(self.uri)), {1}, wait_seconds=0)

    send(kafka, product, three_days())
    store = LandingStore(Interrupted(str(tmp_path / "a")))
    land(store)
    assert users_of(store) == list(range(20, 60))


def test_a_deletion_that_is_killed_is_finished_by_the_next_landing(
    kafka: KafkaConnection, product: str, land: Land, tmp_path: Path
) -> None:
    send(kafka, product, three_days(30))
    lives = range(4)
    for life in lives:
        land(store_at(tmp_path / str(life)), exposures={"purge": "never"})
    for user in range(0, 30, 2):
        forget(kafka, product, user)
    for life in lives:
        store = store_at(tmp_path / str(life))
        with pytest.raises(Killed):
            forget_answers(store_at(tmp_path / str(life), life), set(range(0, 30, 2)))
        assert len(users_of(store)) > 15
        land(store, exposures={"purge": "never"})
        assert users_of(store) == list(range(1, 30, 2)), life


def test_an_attempt_that_was_cut_off_holds_nobody_who_was_forgotten_since(
    kafka: KafkaConnection, product: str, land: Land, tmp_path: Path
) -> None:
    send(kafka, product, three_days(30))
    with pytest.raises(Killed):
        land(store_at(tmp_path / "a", 6))
    store = store_at(tmp_path / "a")
    user = users_of(store)[0]
    forget(kafka, product, user)
    assert forget_answers(store, {user}) == 1
    landed = land(store)
    assert landed.resumed
    assert users_of(store) == [other for other in range(30) if other != user]


def test_where_nothing_was_landed_there_is_nothing_to_delete(store: LandingStore) -> None:
    assert forget_answers(store, {7}) == 0
    assert not store.at.exists("")
    assert scrub(store, {7}) == 0
