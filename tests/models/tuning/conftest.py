"""A small world with planted tastes, as a part that recipes are tried on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conf.ids import IdKind
from conf.settings import ListSettings
from conf.training import AlsSettings
from models.arrays.ids import id_type
from models.tuning import Part
from tests.models.worlds import ids_of, interactions_of, planted, written

PRESENT = AlsSettings(factors=8, iterations=2, threads=1)


@pytest.fixture(scope="session")
def part(tmp_path_factory: pytest.TempPathFactory) -> Part:
    """The world with int64 ids."""
    return make_part(tmp_path_factory.mktemp("part"), "int64")


def make_part(folder: Path, ids: IdKind) -> Part:
    """A fifth of the pairs of 120 users and 40 sources is the truth, the rest is what is trained on and excluded."""
    pairs = np.argwhere(planted(120, 40, 3)[0].toarray())
    held = np.random.default_rng(0).random(len(pairs)) < 0.2
    interactions = interactions_of([(user, source, 1.0) for user, source in pairs[~held]], ids)
    users = np.bincount(pairs[~held][:, 1], minlength=40)
    sources = pa.table(
        {
            "source_id": ids_of(range(40), ids),
            "eligible": np.arange(40) % 10 != 9,
            "category": pa.array([None] * 40, pa.string()),
            "owner_id": pa.array([None] * 40, id_type(ids)),
            "users": users,
            "weight": users.astype(float),
        }
    )
    return Part.of(
        written(folder / "interactions", interactions),
        interactions.select(["user_id", "source_id"]),
        sources,
        pa.table({"user_id": ids_of(pairs[held][:, 0], ids), "source_id": ids_of(pairs[held][:, 1], ids)}),
        lists=ListSettings(),
        k=5,
        ids=ids,
    )
