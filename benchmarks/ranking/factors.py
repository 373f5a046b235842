"""Real factors to rank, trained once on the shared interactions and kept in the user's cache folder."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.ranking.errors import RankingBenchError
from benchmarks.real_input import DATA
from conf.training import AlsSettings
from deploy.servers.kafka_jars import cache_folder
from models.training.als import Factors, ImplicitAls
from models.training.confidences import damp, noise_level, to_confidences

_MILLION = 1_000_000
_FIELDS = ("users", "sources", "indptr", "indices")


@dataclass(frozen=True, eq=False)
class FactorSet:
    """User factors float32 (users, d), source factors float32 (sources, d), and the exclusions of each user."""

    name: str
    users: Factors
    sources: Factors
    exclusions: csr_matrix

    @classmethod
    def load(cls, path: Path) -> "FactorSet":
        """Reads an npz file of users, sources, indptr and indices. Raises RankingBenchError."""
        if not path.is_file():
            raise RankingBenchError(f"{path} is missing: give a file of arrays {', '.join(_FIELDS)}")
        with np.load(path, allow_pickle=False) as file:
            if lacking := [name for name in _FIELDS if name not in file]:
                raise RankingBenchError(f"{path} lacks {', '.join(lacking)}: it needs {', '.join(_FIELDS)}")
            users, sources, indptr, indices = (file[name] for name in _FIELDS)
        exclusions = _stored(indices, indptr, (len(users), len(sources)))
        return cls(path.stem, users.astype(np.float32), sources.astype(np.float32), exclusions)

    def save(self, path: Path) -> None:
        """Writes the file that `load` reads, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npz")
        entries = self.exclusions
        np.savez(partial, users=self.users, sources=self.sources, indptr=entries.indptr, indices=entries.indices)
        partial.replace(path)

    def sample(self, users: int) -> "FactorSet":
        """Returns at most `users` users in a fixed random order, so that any first part is a fair sample."""
        some = np.random.default_rng(1).permutation(len(self.users))[:users]
        return replace(self, users=self.users[some], exclusions=self.exclusions[some])

    def with_sources(self, count: int) -> "FactorSet":
        """Returns `count` sources: rows drawn from ours, longer or shorter by 10 %, turned by 15 %.

        Each user has as many exclusions as before.
        """
        random = np.random.default_rng(0)
        sources = _noisy(self.sources, count, random)
        indices = random.integers(count, size=self.exclusions.nnz, dtype=np.int32)
        exclusions = _stored(indices, self.exclusions.indptr, (len(self.users), count))
        return replace(self, sources=sources, exclusions=exclusions)

    def with_users(self, count: int) -> "FactorSet":
        """Returns `count` users made in the same way, each with the exclusions of the user it was drawn from."""
        random = np.random.default_rng(2)
        rows = random.integers(len(self.users), size=count)
        return replace(self, users=resembling(self.users[rows], random), exclusions=self.exclusions[rows])


@dataclass(frozen=True)
class FactorRecipe:
    """Parameters that train a set from a file of interactions: ALS with damping by the activity of both sides."""

    data: str
    factors: int
    regularization: float
    alpha: float
    damping: float

    def train(self, folder: Path) -> FactorSet:
        """Trains on `folder/DATA.parquet`. Raises RankingBenchError if it is missing."""
        weights = _interactions(folder / f"{self.data}.parquet")
        settings = AlsSettings(
            factors=self.factors, source_damping=self.damping, user_damping=self.damping, iterations=10, seed=1
        )
        damp(weights, settings)
        confidences = to_confidences(weights, self.alpha)
        regularization = self.regularization / noise_level(confidences)  # the trainer multiplies it by that
        settings = settings.model_copy(update={"regularization": regularization})
        return FactorSet("", *ImplicitAls().fit(confidences, settings), confidences)


RECIPES = {
    "deck_cards_64": FactorRecipe("deck_cards", 64, 90, 10, 0),
    "deck_cards_128": FactorRecipe("deck_cards", 128, 90, 10, 0),
    "gowalla_64": FactorRecipe("gowalla", 64, 4, 20, 0.4),
    "gowalla_128": FactorRecipe("gowalla", 128, 8, 20, 0.4),
}
NAMES = (*RECIPES, "million_64")
"""The sets that are ranked by default; the last is drawn from gowalla_64."""


def named_set(name: str, data: Path = DATA) -> FactorSet:
    """Returns one of NAMES, trained unless the cache holds it. Raises RankingBenchError when data are missing."""
    if name == "million_64":
        return replace(named_set("gowalla_64", data).with_sources(_MILLION), name=name)
    path = cache_folder() / "ranking" / f"{name}.npz"
    if not path.is_file():
        RECIPES[name].train(data).save(path)
    return FactorSet.load(path)


def _interactions(path: Path) -> csr_matrix:
    """Returns weights (users, sources), added up per pair; 1 for each row where the file has no weights."""
    if not path.is_file():
        raise RankingBenchError(
            f"{path} is missing: put the shared data there, or name its folder with --data or a file with --factors"
        )
    table = pq.read_table(path)
    users, sources = (
        np.unique(table[name].to_numpy(), return_inverse=True)[1].astype(np.int32) for name in ("user_id", "item_id")
    )
    known = "weight" in table.column_names
    weights = np.maximum(table["weight"].to_numpy(), 1) if known else np.ones(len(users))
    matrix = csr_matrix((weights.astype(np.float32), (users, sources)))
    matrix.sum_duplicates()
    return matrix


def _stored(indices: NDArray[np.int32], indptr: NDArray[np.int32], shape: tuple[int, int]) -> csr_matrix:
    return csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)


def _noisy(factors: Factors, count: int, random: np.random.Generator) -> Factors:
    return resembling(factors[random.integers(len(factors), size=count)], random)


def resembling(rows: Factors, random: np.random.Generator) -> Factors:
    """Returns rows near these, as if more of the same kind had been trained."""
    count, dimensions = rows.shape
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    turn = random.standard_normal(rows.shape, dtype=np.float32) * norms * np.float32(0.15 / np.sqrt(dimensions))
    made: Factors = rows * (1 + np.float32(0.1) * random.standard_normal((count, 1), dtype=np.float32)) + turn
    return made
