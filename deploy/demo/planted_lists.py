"""Lists of a demo world that are as good as they are planted to be: answers in process, of the service's form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.random import default_rng
from numpy.typing import NDArray

from conf.ids import UserId, arm_of
from deploy.demo.lookups import Asked, Told
from deploy.demo.ranked import Indices, positions
from deploy.demo.tastes import Population


@dataclass(frozen=True)
class PlantedModel:
    """A model whose lists follow the true affinities as far as its noise lets them."""

    run: str
    noise: float = 1.0
    """Scale of the Gumbel noise on log affinities: 0 makes the best lists, 100 random ones."""
    seed: int = 1


@dataclass(frozen=True)
class PlantedLists:
    """Implements `deploy.demo.visits.Lists`: each arm has a model, or none, and then its users get nothing of ours."""

    population: Population
    followed: Indices
    """Sorted pairs that no list holds."""
    models: Mapping[str, PlantedModel | None]
    """Arm → its model."""
    share_bp: int = 10_000
    salt: str = "discovery-1"
    n: int = 50

    def answers(self, asked: Sequence[Asked]) -> list[Told]:
        """Returns an answer for each, in the order of `asked`."""
        ids = pa.array([one.user_id for one in asked], self.population.truth.user_ids.type)
        users = [int(user) for user in positions(ids, self.population.truth.user_ids, "user")]
        known = {user: self._told(user, one.user_id) for user, one in zip(users, asked, strict=True)}
        return [known[user] for user in users]

    def _told(self, user: int, user_id: UserId) -> Told:
        arm = "treatment" if arm_of(user_id, self.salt) < self.share_bp else "control"
        model = self.models.get(arm)
        if model is None:
            return Told(arm, "none" if arm == "treatment" else "control", None, share_bp=self.share_bp)
        best = np.argsort(-self._scores(model, user), kind="stable")[: self.n]
        source_ids = cast("list[UserId]", self.population.truth.source_ids.take(best).to_pylist())
        return Told(arm, "list", model.run, source_ids, self.share_bp)

    def _scores(self, model: PlantedModel, user: int) -> NDArray[np.float64]:
        """Returns (S,) log affinities with noise of this model and user, whoever else is asked about."""
        population = self.population
        affinity = population.truth.affinity(np.array([user]))[0].astype(np.float64)
        noise = default_rng([model.seed, user]).gumbel(size=population.sources)
        scores = np.log(np.maximum(affinity, 1e-12)) + model.noise * noise
        first, last = np.searchsorted(self.followed, [user * population.sources, (user + 1) * population.sources])
        scores[self.followed[first:last] - user * population.sources] = -np.inf
        return np.where(population.truth.eligible, scores, -np.inf)
