"""Records of experiments: one open at a time, unchanged pins, and what cannot be read is reported."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs
from pydantic import ValidationError

from conf.experiment import Experiment, PinnedRecipe
from conf.recipe import Recipe
from jobs.experiments.store import DamagedExperiment, ExperimentError, ExperimentStore
from jobs.storage.store import Storage
from tests.features.world import settings

OPENED = dt.datetime(2026, 11, 16, 9, tzinfo=dt.UTC)


def experiment(**changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "product": "test",
        "name": "more-days",
        "opened": OPENED,
        "first_day": dt.date(2026, 11, 17),
        "salt": "more-days-1",
        "control": "none",
        "treatment": PinnedRecipe.of(Recipe.of(settings())),
    }
    return Experiment.model_validate({**fields, **changes})


@pytest.fixture
def store(tmp_path: Path) -> ExperimentStore:
    return ExperimentStore.of(Storage(str(tmp_path)), "test")


def test_one_is_open_at_a_time_and_names_are_used_once(store: ExperimentStore) -> None:
    assert (store.read_all(), store.find_open(), store.find("more-days")) == ([], None, None)
    store.add(experiment())
    assert store.find_open() == experiment()
    other = experiment(name="other", opened=OPENED + dt.timedelta(days=1))
    with pytest.raises(ExperimentError, match="more-days of test is open since 2026-11-16"):
        store.add(other)
    closed = store.close(experiment(), OPENED + dt.timedelta(hours=1), "done")
    assert store.find_open() is None
    store.add(other)
    assert store.read_all() == [closed, other]
    with pytest.raises(ExperimentError, match="there was an experiment more-days already"):
        store.add(experiment())
    with pytest.raises(ExperimentError, match="there is no experiment 'x' of test; there are: more-days, other"):
        store.get("x")


class At(Storage):
    """A folder where something else happens before one of the operations."""

    def between(self, before: int, happens: Callable[[], None]) -> "At":
        """Lets this happen before the operation of that number; beyond the last one it happens never."""
        object.__setattr__(self, "steps", iter([lambda: None] * before + [happens]))
        return self

    def _step(self) -> None:
        next(getattr(self, "steps"), lambda: None)()  # noqa: B009

    def files(self, path: str = "", *, recursive: bool = False) -> list[fs.FileInfo]:
        self._step()
        return super().files(path, recursive=recursive)

    def exists(self, path: str) -> bool:
        self._step()
        return super().exists(path)

    def write_bytes(self, path: str, content: bytes) -> None:
        self._step()
        super().write_bytes(path, content)

    def delete(self, path: str) -> None:
        self._step()
        super().delete(path)


@pytest.mark.parametrize("name", ["more-days", "other"])
def test_of_two_that_are_opened_at_once_one_is(tmp_path: Path, name: str) -> None:
    """One is opened as a whole between any two steps of the other: never both, and what was kept stays as it was."""
    kept, number, happened = set[str](), 0, True
    while happened:
        home, won, refused, happened = str(tmp_path / str(number)), list[Experiment](), list[str](), False
        store = ExperimentStore(Storage(home), "test")
        mine, theirs = experiment(salt="a"), experiment(name=name, salt="b")

        def add(opened: Experiment, at: ExperimentStore) -> None:
            try:
                at.add(opened)
            except ExperimentError as error:
                refused.append(str(error))  # noqa: B023
            else:
                won.append(opened)  # noqa: B023

        def meanwhile() -> None:
            nonlocal happened
            happened = True
            add(theirs, store)  # noqa: B023

        add(mine, ExperimentStore(At(home).between(number, meanwhile), "test"))
        assert store.read_all() == won
        assert len(won) <= 1
        assert all(re.search(r"already|is open|is being opened", said) for said in refused)
        kept |= {one.salt for one in won}
        number += 1
    assert number > 5
    assert kept == {"a", "b"}
    add(mine, store)  # nobody was left in the way
    assert len(won) == 1


def test_an_opening_that_was_killed_is_named(store: ExperimentStore) -> None:
    store.at.write_bytes("_opening/x-1.json", b"{}")
    with pytest.raises(ExperimentError, match=r"is being opened.*_opening/x-1.json"):
        store.add(experiment())
    store.at.delete("_opening/x-1.json")
    store.add(experiment())
    assert [info.base_name for info in store.at.files("_opening")] == []


def test_what_cannot_be_read_is_reported(store: ExperimentStore, tmp_path: Path) -> None:
    store.add(experiment())
    record = tmp_path / "experiments/test/more-days/experiment.json"
    record.write_text(record.read_text().replace('"half_life_days": 1.0', '"half_life_days": 2.0'))
    with pytest.raises(DamagedExperiment, match="treatment: the recipe is not the one that was pinned"):
        store.find_open()
    record.write_text(experiment(name="other").model_dump_json())
    with pytest.raises(DamagedExperiment, match="record of other of test; restore the file of more-days"):
        store.find_open()


@pytest.mark.parametrize("name", ["", "A", "-a", "a" * 41, "a/b", "..", "a b", "ä"])
def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="lower-case letters, digits, _ and -"):
        experiment(name=name)


def test_only_a_pinned_control_has_a_recipe() -> None:
    for changes in ({"control": "pinned"}, {"control_recipe": PinnedRecipe.of(Recipe.of(settings()))}):
        with pytest.raises(ValidationError, match="a pinned control has a recipe"):
            experiment(**changes)
