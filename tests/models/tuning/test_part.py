"""Lists of a part are those that users would get, and their scores are those of the definition."""

from pathlib import Path

import numpy as np
import pytest

from conf.ids import IdKind
from models.tuning import Part
from tests.models.tuning.conftest import make_part


@pytest.mark.parametrize("ids", ["int64", "string"])
def test_scores_are_those_of_ranking_everything(ids: IdKind, tmp_path: Path) -> None:
    part = make_part(tmp_path, ids)
    draw = np.random.default_rng(1)
    users, sources = (draw.standard_normal((len(known), 4), dtype=np.float32) for known in part.trained)
    users[part.trained[0].rows(part.users)[:3]] = 0  # nothing is known of them: they get the popular sources
    judged = part.judge(users, sources)
    popular = part.judge_popular()

    rows = part.trained[0].rows(part.users)
    source_ids = part.trained[1].to_arrow().to_pylist()
    eligible = np.array([not str(source).endswith("9") for source in source_ids])
    for at, row in enumerate(rows):
        excluded = set(part.excluded[at].as_py())
        allowed = eligible & np.array([source not in excluded for source in source_ids])
        scores = np.where(allowed, sources @ users[row], -np.inf)
        best = [source_ids[place] for place in np.argsort(-scores, kind="stable")[: part.k] if allowed[place]]
        if at < 3:
            assert judged.ndcg[at] == popular.ndcg[at]
        else:
            assert judged.ndcg[at] == pytest.approx(_ndcg(best, set(part.truths[at].as_py()), part.k))


def test_a_sample_is_judged_as_the_whole(part: Part) -> None:
    users, sources = (np.ones((len(ids), 2), np.float32) for ids in part.trained)
    sources[:, 0] = np.arange(len(sources))
    some = part.sample(40, seed=1)
    assert len(some.users) == 40
    found = dict(zip(part.users.to_pylist(), part.judge(users, sources).ndcg, strict=True))
    assert [found[user] for user in some.users.to_pylist()] == some.judge(users, sources).ndcg.tolist()
    assert part.sample(10_000, seed=1) is part


def _ndcg(best: list[int | str], truth: set[int | str], k: int) -> float:
    gains = 1 / np.log2(np.arange(2, k + 2))
    hits = np.array([source in truth for source in best])
    return float(gains[: len(best)][hits].sum() / gains[: min(k, len(truth))].sum())
