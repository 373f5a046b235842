"""Going on from the factors of a former run."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from scipy.sparse import csr_matrix

from conf import contract
from conf.ids import IdKind
from conf.training import AlsSettings
from models.arrays.ids import IdMap
from models.training.train import Embeddings, train
from models.training.warm import Turnover, WarmStart
from tests.models.worlds import factor_tables, ids_of, interactions_of, normal_equations, planted

SETTINGS = AlsSettings(factors=4, iterations=6, warm_iterations=2, threads=1, regularization=0.1)
Row = tuple[int, int, float]


def world(users: range, sources: range) -> list[Row]:
    """Interactions of some of 200 users with some of 60 sources, always the same between two of them."""
    weights, _ = planted(users=200, sources=60, seed=4)
    pairs = zip(*weights.nonzero(), strict=True)
    return [(int(user), int(source), 1.0) for user, source in pairs if user in users and source in sources]


def trained(rows: list[Row], kind: IdKind = "int64", start: WarmStart | None = None, **changes: Any) -> Embeddings:
    interactions = ds.dataset(interactions_of(sorted(rows), kind))
    return train(interactions, SETTINGS.model_copy(update=changes), kind, start=start)


def start_of(embeddings: Embeddings) -> WarmStart:
    """Its tables with their rows in reverse: a start goes by ids, not by rows."""
    tables = (table.to_table() for table in factor_tables(embeddings))
    return WarmStart(*(ds.dataset(table.take(list(reversed(range(len(table)))))) for table in tables))


def by_id(ids: IdMap, factors: np.ndarray) -> dict[Any, np.ndarray]:
    return dict(zip(ids.to_arrow().to_pylist(), factors, strict=True))


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_the_kept_keep_theirs_the_new_get_a_half_step_and_the_gone_leave(kind: IdKind) -> None:
    former = trained(world(range(150), range(50)), kind)
    rows = world(range(30, 200), range(5, 60))
    users, sources = (
        IdMap.of(ids_of({r[0] for r in rows}, kind), kind),
        IdMap.of(ids_of({r[1] for r in rows}, kind), kind),
    )
    dense = np.zeros((len(users), len(sources)), np.float32)
    dense[users.rows(ids_of([r[0] for r in rows], kind)), sources.rows(ids_of([r[1] for r in rows], kind))] = 3
    begun = start_of(former).align(users, sources, csr_matrix(dense), 0.5, SETTINGS)
    assert begun.factors is not None
    old_users, old_sources = by_id(former.users, former.user_factors), by_id(former.sources, former.source_factors)
    is_old_user = np.array([user in old_users for user in users.to_arrow().to_pylist()])
    for user, factors in by_id(users, begun.factors[0]).items():
        row = dense[users.rows(pa.array([user]))[0]]
        expected = old_users.get(user, normal_equations(row, begun.factors[1], 0.5))
        assert np.allclose(factors, expected, atol=1e-5)
    for source, factors in by_id(sources, begun.factors[1]).items():
        column = dense[is_old_user, sources.rows(pa.array([source]))[0]]
        of_kept = begun.factors[0][is_old_user]
        assert np.allclose(factors, old_sources.get(source, normal_equations(column, of_kept, 0.5)), atol=1e-5)
    kept, kept_sources = len(old_users.keys() & by_id(users, dense)), len(old_sources.keys() & by_id(sources, dense.T))
    assert begun.turnover == Turnover(
        kept, len(users) - kept, len(old_users) - kept, kept_sources, len(sources) - kept_sources, 5
    )
    assert 100 < kept < len(users)


def test_where_nothing_changed_a_converged_model_stays_where_it_is() -> None:
    rows = world(range(200), range(60))
    former = trained(rows, iterations=60)
    again = trained(rows, start=start_of(former), warm_iterations=1)
    assert again.stats.started == "warm"
    assert np.allclose(again.user_factors, former.user_factors, atol=1e-3)
    assert np.allclose(again.source_factors, former.source_factors, atol=1e-3)


def test_a_week_later_a_few_alternations_come_nearer_to_the_end_than_a_cold_start_does() -> None:
    former = trained(world(range(180), range(58)), iterations=60)
    rows = world(range(20, 200), range(60))
    final = trained(rows, iterations=100)
    away = []
    for start, changes in ((start_of(former), {"warm_iterations": 2}), (None, {"iterations": 2})):
        near = trained(rows, start=start, **changes)
        assert len(near.stats.iteration_seconds) == 2
        scores = [found.user_factors @ found.source_factors.T for found in (near, final)]
        away.append(np.linalg.norm(scores[0] - scores[1]) / np.linalg.norm(scores[1]))
    assert away[0] < away[1]
    assert away[0] < 0.05


def test_the_same_start_gives_the_same_bits() -> None:
    former, rows = trained(world(range(150), range(50))), world(range(30, 200), range(60))
    first, again = (trained(rows, start=start_of(former), threads=threads) for threads in (1, 2))
    assert np.array_equal(first.user_factors, again.user_factors)
    assert np.array_equal(first.source_factors, again.source_factors)


def test_an_island_of_the_new_starts_at_zero_and_harms_nobody() -> None:
    former = trained(world(range(150), range(60)))
    island = [(900, 900, 1.0), (900, 901, 1.0), (901, 901, 1.0)]
    found = trained(world(range(150), range(60)) + island, start=start_of(former))
    assert found.stats.started == "warm"
    assert not found.user_factors[-2:].any()
    assert not found.source_factors[-2:].any()
    assert found.user_factors[:-2].any(axis=1).all()


def test_a_user_with_only_new_sources_that_kept_users_know_gets_factors() -> None:
    former = trained(world(range(150), range(60)))
    bridge = [(0, 900, 1.0), (1, 900, 1.0), (900, 900, 1.0)]
    found = trained(world(range(150), range(60)) + bridge, start=start_of(former))
    assert found.user_factors[-1].any()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"settings": {"factors": 5}}, "have 4 dimensions, now 5"),
        ({"kind": "string"}, "is int64, now it is string"),
        ({"sources": range(28, 60)}, "knows the sources of 0% of the interactions, 50% are needed"),
        ({"former": "empty"}, "have 0 dimensions, now 4"),
    ],
)
def test_where_former_factors_do_not_fit_it_starts_cold_and_says_why(change: dict[str, Any], reason: str) -> None:
    start = start_of(trained(world(range(200), range(28))))
    if "former" in change:
        nothing = (contract.user_factors("int64").empty_table(), contract.source_factors("int64").empty_table())
        start = WarmStart(*map(ds.dataset, nothing))
    rows, kind = world(range(200), change.get("sources", range(60))), change.get("kind", "int64")
    found, cold = (trained(rows, kind, given, **change.get("settings", {})) for given in (start, None))
    assert found.stats.started == "cold"
    assert reason in str(found.stats.cold_reason)
    assert np.array_equal(found.user_factors, cold.user_factors)
    assert json.loads(json.dumps(found.stats.to_json()))["new_users"] == len(found.users)
