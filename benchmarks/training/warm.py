"""Compares a warm start from last week's factors with a cold one, on deck_cards: seconds of training, and NDCG.

NDCG@20 is that of the learning curve: the best sources, unfiltered, of all users in the temporal protocol's truth.
"""

import pyarrow.dataset as ds

from benchmarks.quality.part import SplitPart
from benchmarks.training.plan import CORES, Plan
from benchmarks.training.row import Row, as_good, share_of
from conf.load import load_settings
from conf.training import TrainSettings
from deploy.chain import REPO
from jobs.storage.store import Storage
from models.training.learning_curve import LearningCurve, Point
from models.training.train import Embeddings, train
from models.training.warm import WarmStart

_K = 20
_GOAL = 0.99
_EVERYBODY = 1_000_000
_QUICK = {"factors": 8}


def measure(plan: Plan) -> list[Row]:
    """Returns the seconds of both, and the NDCG that the warm one reaches with the shipped number of iterations."""
    settings = load_settings(REPO / "conf/deck_cards.yml").train
    settings = settings.model_copy(update={"threads": CORES, **(_QUICK if plan.quick else {})})
    before, now = plan.part(weeks_ago=1), plan.part()
    start = _kept(plan, train(before.interactions, settings, before.ids))
    cold, warm = _curve(now, settings, None), _curve(now, settings, start)
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(plan.rounds):
        for name, former in (("cold", None), ("warm", start)):
            stats = train(now.interactions, settings, now.ids, start=former).stats
            seconds[name].append(stats.fit_seconds)
    against = f"cold: {len(cold)} iterations from a spectral start"
    each = ", ".join(f"{point.ndcg / cold[-1].ndcg:.3f}" for point in warm)
    return [
        share_of("warm start: training", "s", seconds["warm"], seconds["cold"], against, None),
        as_good(
            f"  NDCG@{_K} after {len(warm)} iterations",
            warm[-1].ndcg,
            cold[-1].ndcg,
            f"cold; after each iteration {each} of it",
            _GOAL,
        ),
    ]


def _curve(part: SplitPart, settings: TrainSettings, start: WarmStart | None) -> list[Point]:
    curve = LearningCurve(ds.dataset(part.truth), _K, sample=_EVERYBODY)
    train(part.interactions, settings, part.ids, start=start, watch=curve.watch)
    return curve.points


def _kept(plan: Plan, embeddings: Embeddings) -> WarmStart:
    """Writes the factors as a run does, and returns them as a start."""
    storage = Storage(str(plan.new_folder("last_week")))
    for name, batches in (("user_factors", embeddings.user_batches()), ("source_factors", embeddings.source_batches())):
        first = next(batches)
        storage.write_table(name, [first, *batches], first.schema)
    return WarmStart(storage.table("user_factors"), storage.table("source_factors"))
