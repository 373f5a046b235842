"""Whether causes are causes: the reasons of a listed source are taken away, and the user is folded in anew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.quality.known import known_split, tuned
from benchmarks.quality.part import SplitPart
from conf.training import AlsSettings, TrainSettings
from models.explain.contributions import TrainedSources
from models.explain.counterfactual import REMOVED, Removals
from models.training.confidences import activity
from models.training.fold_in import FoldIn
from models.training.matrix import fill_matrix
from models.training.train import Embeddings, train

DATA_SETS = ("lastfm", "ml_1m", "gowalla")
LEAST = 20
"""Interactions that a user must have."""
_LISTED = 50
_RIVALS = 500
_EVERY_SET_UP_TO = 40
"""Interactions of a user up to which every set is tried where the reasons failed."""
WAYS = ("counterfactual", "contributions", "random")
"""The reasons that are shown for the place; those for the score; none."""


@dataclass(frozen=True)
class Falls:
    """Shares of users whose source falls once three of their interactions are gone."""

    of_anew: float
    """Against its place once the user is folded in anew with every interaction."""
    of_run: float
    """Against its place by the factors of the run, which are half a step older."""


@dataclass(frozen=True)
class Cause:
    """What became of one listed source of each user."""

    users: int
    falls: dict[str, Falls]
    """Way → shares."""
    tried_out: int
    """Users whose source did not fall without its counterfactual, folded in anew, and for whom every set was tried."""
    impossible: int
    """Those of them whose source no set of three lowers."""

    def __str__(self) -> str:
        shares = ", ".join(f"{way} {fell.of_anew:.1%} ({fell.of_run:.1%})" for way, fell in self.falls.items())
        return f"{self.users} users: {shares}; of {self.tried_out} failures {self.impossible} fall by no three"


@dataclass(frozen=True, eq=False)
class _Model:
    """A training as its run explains it."""

    weights: csr_matrix
    made: Embeddings
    trained: TrainedSources
    fold: FoldIn

    @classmethod
    def of(cls, part: SplitPart, settings: TrainSettings) -> "_Model":
        made = train(part.interactions, settings, part.ids)
        weights, constants = fill_matrix(part.interactions, made.users, made.sources), made.stats.constants
        assert constants is not None, "this trainer cannot fold in"
        counts = activity(weights)[1]
        fold = FoldIn.of(made.sources, made.source_factors, counts, constants)
        return cls(weights, made, TrainedSources(made.source_factors, constants), fold)


@dataclass(frozen=True, eq=False)
class _Asked:
    """One user and one source of their list."""

    user: int
    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    source: int
    place: int
    out: dict[str, NDArray[np.int64]]
    """Way → positions of the interactions that are taken away; "": none."""
    removals: Removals


def table(data: Path, users: int, dims: int) -> Iterator[str]:
    """Yields a line for each data set and each of three trainings. Raises QualityError without the data."""
    for name in DATA_SETS:
        part = known_split(name, data).final
        trainings = {
            f"{dims} factors, settings that a search found": AlsSettings(**tuned(name, dims)),
            f"{dims} factors, settings as shipped": AlsSettings(factors=dims),
            "as shipped": AlsSettings(),
        }
        for how, settings in trainings.items():
            yield f"{name}, {how}: {cause(part, settings, users)}"


def cause(part: SplitPart, settings: TrainSettings, users: int, seed: int = 1) -> Cause:
    """Trains, and takes interactions away from that many users with at least LEAST of them."""
    model, rng = _Model.of(part, settings), np.random.default_rng(seed)
    able = np.flatnonzero(activity(model.weights)[0] >= LEAST)
    drawn = rng.choice(able, min(users, len(able)), replace=False)
    asked = [_ask(model, int(user), rng) for user in drawn]
    anew = {way: _places(model, asked, way) for way in ("", *WAYS)}
    before, run = anew[""], np.array([one.place for one in asked])
    falls = {way: Falls(float((anew[way] > before).mean()), float((anew[way] > run).mean())) for way in WAYS}
    failed = [one for one, fell in zip(asked, anew[WAYS[0]] > before, strict=True) if not fell]
    small = [one for one in failed if len(one.rows) <= _EVERY_SET_UP_TO]
    return Cause(len(asked), falls, len(small), sum(not _can_fall(one) for one in small))


def _ask(model: _Model, user: int, rng: np.random.Generator) -> _Asked:
    part = slice(model.weights.indptr[user], model.weights.indptr[user + 1])
    rows, weights = model.weights.indices[part].astype(np.int64), model.weights.data[part].astype(np.float64)
    scores = model.made.source_factors @ model.made.user_factors[user]
    scores[rows] = -np.inf
    rivals = np.argsort(-scores, kind="stable")[: min(_RIVALS, len(scores) - len(rows))]
    at = int(rng.integers(min(_LISTED, len(rivals))))
    confidences = model.trained.confidences(weights, model.fold.source_counts[rows])
    removals = Removals(model.trained, rows, confidences, rivals)
    terms = model.trained.contributions(rows, confidences, rivals[[at]])[0]
    out = {
        "": np.zeros(0, np.int64),
        "counterfactual": np.array(removals.counterfactuals(np.array([at]))[0].without),
        "contributions": np.argsort(-terms, kind="stable")[:REMOVED],
        "random": rng.choice(len(rows), REMOVED, replace=False),
    }
    return _Asked(user, rows, weights, int(rivals[at]), at + 1, out, replace(removals))  # without its arrays


def _places(model: _Model, asked: Sequence[_Asked], way: str) -> NDArray[np.int64]:
    """Returns each source's place among all that its user has nothing to do with, by the product's own folding."""
    kept = [np.delete(np.arange(len(one.rows)), one.out[way]) for one in asked]
    starts = np.cumsum([0, *map(len, kept)])
    columns = np.concatenate([one.rows[some] for one, some in zip(asked, kept, strict=True)])
    values = np.concatenate([one.weights[some] for one, some in zip(asked, kept, strict=True)]).astype(np.float32)
    shape = (len(asked), len(model.made.source_factors))
    factors = model.fold.factors(csr_matrix((values, columns.astype(np.int32), starts), shape=shape))
    return np.array([_place(model, one, vector) for one, vector in zip(asked, factors, strict=True)])


def _place(model: _Model, one: _Asked, vector: NDArray[np.float32]) -> int:
    scores = model.made.source_factors @ vector
    own = scores[one.source]
    scores[one.rows] = -np.inf
    return 1 + int((scores > own).sum())


def _can_fall(one: _Asked) -> bool:
    """Returns whether any set of three lowers the source among its rivals."""
    at = np.array([one.place - 1])
    before = one.removals.counterfactuals(at)[0].place
    return any(
        int((1 + (scores > scores[:, at]).sum(axis=1)).max()) > before
        for scores in map(one.removals.scores, _sets(len(one.rows)))
    )


def _sets(interactions: int) -> Iterator[Any]:
    every = np.array(list(combinations(range(interactions), REMOVED)))
    yield from np.array_split(every, 1 + len(every) // 1000)
