"""A landing that is killed at any write is finished by the next one, byte for byte as if nothing had happened."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conf.connections import KafkaConnection
from jobs.exposures.landing import Landed
from jobs.exposures.store import LandingStore
from jobs.storage.store import Storage
from tests.jobs.exposures.conftest import Land
from tests.jobs.exposures.test_landing import delete_before, make_anew
from tests.jobs.exposures.world import exposure, send, three_days, tree_of, users_of


class Killed(BaseException):
    """The end of a process."""


@dataclass(frozen=True)
class Mortal(Storage):
    """A storage whose process ends at a chosen change of it, before or behind that change."""

    life: list[int] = field(default_factory=lambda: [10**9])
    """Changes that are still made."""
    behind: bool = False

    def write_bytes(self, path: str, content: bytes) -> None:
        self._change(lambda: super(Mortal, self).write_bytes(path, content))

    def delete(self, path: str) -> None:
        self._change(lambda: super(Mortal, self).delete(path))

    def _change(self, make: Callable[[], None]) -> None:
        self.life[0] -= 1
        if self.life[0] >= 0 or (self.behind and self.life[0] == -1):
            make()
        if self.life[0] < 0:
            raise Killed


def store_at(folder: Path, life: int = 10**9, *, behind: bool = False) -> LandingStore:
    return LandingStore(Mortal(str(folder), [life], behind))


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
def test_at_every_write(kafka: KafkaConnection, product: str, land: Land, tmp_path: Path, behind: bool) -> None:
    records = [*three_days(30), (0, b"x", b"\xff")]
    send(kafka, product, records)
    undisturbed = store_at(tmp_path / "undisturbed")
    land(undisturbed, batch_records=8, exposures={"keep_days": 1})
    wanted = tree_of(undisturbed)
    assert len(users_of(undisturbed)) == 20, "the oldest day is deleted"
    for life in range(1_000):
        folder = tmp_path / f"killed_{life}"
        try:
            land(store_at(folder, life, behind=behind), batch_records=8, exposures={"keep_days": 1})
        except Killed:
            land(store_at(folder), batch_records=8, exposures={"keep_days": 1})
        else:
            break
        found = tree_of(store_at(folder))
        assert found.keys() == wanted.keys(), life
        assert found == wanted, life
    assert life > 15


def test_again_and_again(kafka: KafkaConnection, product: str, land: Land, tmp_path: Path) -> None:
    send(kafka, product, three_days(30))
    undisturbed, folder = store_at(tmp_path / "undisturbed"), tmp_path / "killed"
    land(undisturbed, batch_records=8)
    landed: Landed | None = None
    lives = iter(range(2, 1_000))
    while landed is None:
        try:
            landed = land(store_at(folder, next(lives), behind=True), batch_records=8)
        except Killed:
            continue
    assert tree_of(store_at(folder)) == tree_of(undisturbed)


def test_a_batch_whose_records_vanish_meanwhile_leaves_nothing_uncounted(
    kafka: KafkaConnection, product: str, land: Land, tmp_path: Path
) -> None:
    send(kafka, product, three_days(30))
    with pytest.raises(Killed):
        land(store_at(tmp_path / "a", 6))
    assert (left := len(users_of(store_at(tmp_path / "a")))) > 0
    delete_before(kafka, product, -1)
    landed = land(store := store_at(tmp_path / "a"))
    assert landed.resumed
    assert users_of(store) == []
    assert sum(loss.answers or 0 for loss in landed.losses) == 31 > left


def test_a_batch_whose_topic_is_made_anew_is_given_up(
    kafka: KafkaConnection, product: str, land: Land, tmp_path: Path
) -> None:
    send(kafka, product, three_days(30))
    with pytest.raises(Killed):
        land(store_at(tmp_path / "a", 5))
    make_anew(kafka, product)
    send(kafka, product, [exposure(100, 100)])
    landed = land(store := store_at(tmp_path / "a"))
    assert [loss.kind for loss in landed.losses] == ["recreated"]
    assert (landed.resumed, users_of(store)) == (False, [100])
