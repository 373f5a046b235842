"""The benchmark of ranking: its arms rank the same, its figures have one shape, its check can fail."""

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_matrix

from benchmarks.ranking import factors as factors_module
from benchmarks.ranking import scaling
from benchmarks.ranking.__main__ import main
from benchmarks.ranking.arms import ARMS, Arm, arms_here, build_index
from benchmarks.ranking.check import check_lists
from benchmarks.ranking.errors import RankingBenchError
from benchmarks.ranking.factors import RECIPES, FactorSet, named_set
from benchmarks.ranking.goals import goals_of
from benchmarks.ranking.measure import RankingPlan
from benchmarks.ranking.spark import write_model
from benchmarks.ranking.stream import BLOCK, Stream
from benchmarks.ranking.table import scaling_text as scaling_table
from models.ranking import TopN

_N = 7


def _factors(users: int = 60, sources: int = 900, dimensions: int = 8) -> FactorSet:
    random = np.random.default_rng(5)
    made = (random.standard_normal((rows, dimensions), dtype=np.float32) for rows in (users, sources))
    exclusions = random_matrix(users, sources, 0.02, "csr", np.float32, rng=random)
    return FactorSet("drawn", *made, exclusions)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    written = Stream.write(_factors(), tmp_path_factory.mktemp("stream"))
    assert build_index(written) > 0
    return written


def _lists(arm: Arm, stream: Stream) -> TopN:
    (users, exclude), *others = stream.blocks(0, stream.users)
    assert not others
    lists = arm(users, exclude, _N)
    return TopN(lists.ids.astype(np.int32), lists.scores)


@pytest.mark.parametrize("name", sorted(set(arms_here()) - {"sgemm", "faiss"}))
def test_an_arm_makes_the_lists_of_brute_force(stream: Stream, name: str) -> None:
    check = check_lists(_factors(), 0, _lists(ARMS[name](stream), stream))
    assert (check.users, check.wrong) == (60, 0)
    assert check.worst < 1e-6 or name == "implicit"  # which adds up in float32


def test_ours_tells_its_work_and_a_product_makes_no_lists(stream: Stream) -> None:
    users, exclude = next(stream.blocks(0, stream.users))
    ours = ARMS["ours"](stream)(users, exclude, _N)
    assert _N * len(users) <= ours.candidates <= ours.pairs
    assert ARMS["sgemm"](stream)(users, exclude, _N).ids.shape == (0, _N)


def test_a_stream_gives_what_was_written_whatever_the_blocks(tmp_path: Path) -> None:
    written = _factors(users=BLOCK + 9, sources=40)
    blocks = list(Stream.write(written, tmp_path).blocks(3, BLOCK + 8))
    assert [len(users) for users, _ in blocks] == [BLOCK, 5]
    assert np.array_equal(np.concatenate([users for users, _ in blocks]), written.users[3:-1])
    excluded = np.concatenate([exclude.toarray() for _, exclude in blocks])
    assert np.array_equal(excluded > 0, written.exclusions[3:-1].toarray() > 0)


def _spoil_swap(top: TopN) -> None:
    top.ids[0, :2] = top.ids[0, 1::-1].copy()


def _spoil_score(top: TopN) -> None:
    top.scores[0, 3] *= np.float32(1.0001)


def _spoil_twice(top: TopN) -> None:
    top.ids[0, 1], top.scores[0, 1] = top.ids[0, 0], top.scores[0, 0]


def _spoil_short(top: TopN) -> None:
    top.ids[0, -1], top.scores[0, -1] = -1, -np.inf


@pytest.mark.parametrize("spoil", [_spoil_swap, _spoil_score, _spoil_twice, _spoil_short])
def test_the_check_sees_a_wrong_list(stream: Stream, spoil: Any) -> None:
    top = _lists(ARMS["ours"](stream), stream)
    spoil(top)
    assert check_lists(_factors(), 0, top).wrong == 1


def test_the_check_sees_barred_and_repeated_sources(stream: Stream) -> None:
    free = replace(_factors(), exclusions=csr_matrix((60, 900), dtype=np.float32))
    top = _lists(ARMS["ours"](stream), stream)
    excluded = np.array([np.isin(ids, _factors().exclusions[user].indices).any() for user, ids in enumerate(top.ids)])
    assert not excluded.any()
    assert check_lists(free, 0, top).wrong > 0  # some would have got what they are excluded from
    same = FactorSet("same", np.ones((1, 2), np.float32), np.ones((9, 2), np.float32), csr_matrix((1, 9)))
    scores = np.full((1, 3), 2, np.float32)
    assert check_lists(same, 0, TopN(np.array([[4, 5, 6]], np.int32), scores)).wrong == 0
    assert check_lists(same, 0, TopN(np.array([[4, 5, 4]], np.int32), scores)).wrong == 1


def test_lists_end_where_the_catalogue_does(tmp_path: Path) -> None:
    small = _factors(users=20, sources=5)
    stream = Stream.write(small, tmp_path)
    build_index(stream)
    top = _lists(ARMS["ours"](stream), stream)
    assert (top.ids[:, 5:] == -1).all()
    assert check_lists(small, 0, top).wrong == 0


def test_a_file_of_factors_gives_a_row_per_n(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "drawn.npz"
    _factors().save(path)
    options = ["--users", "50", "--rounds", "2", "--no-spark", "--json"]
    assert main(["--factors", str(path), "--n", "20", "5", *options]) == 0
    out = capsys.readouterr().out
    result = json.loads(out.splitlines()[-1])
    assert [row["n"] for row in result["rows"]] == [5, 20]
    for row in result["rows"]:
        assert (row["set"], row["users"], row["sources"], row["dimensions"]) == ("drawn", 50, 900, 8)
        present = {name for name, figures in row["arms"].items() if figures}
        assert present == set(arms_here())
        assert all(len(row["arms"][name]["seconds"]) == 2 for name in present)
        assert row["arms"]["sgemm"]["to_sgemm"] == 1
        assert row["check"]["ours"]["users"] == row["check"]["portable"]["users"] == 50
        assert 0 < row["pairs_share"] <= 1.2  # seeds are counted too
        whats = {goal["what"]: goal for goal in row["goals"]}
        assert whats["× implicit"]["ratio"] > 0
        assert whats["× Spark ML"]["met"] is None
    assert "drawn: 50 users × 900 sources, d = 8, N = 5, 2 rounds" in out
    assert ("missing: pip install faiss-cpu" in out) == (find_spec("faiss") is None)


def test_users_and_sources_grow_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[FactorSet] = []

    def measure(factors: FactorSet, plan: RankingPlan) -> list[dict[str, Any]]:
        seen.append(factors)
        ours = {"users_per_second": 1e4, "to_sgemm": 0.25, "peak_bytes": 3e8}
        return [{"n": plan.ns[0], "users": len(factors.users), "sources": len(factors.sources), "arms": {"ours": ours}}]

    monkeypatch.setattr(scaling, "measure", measure)
    rows = scaling.measure_scaling(_factors(), 5, 2)
    sizes = [(60, 900), (60, 3_600), (60, 14_400), (240, 900), (960, 900)]
    assert [(row["users"], row["sources"]) for row in rows] == sizes
    assert [factors.exclusions.shape for factors in seen] == sizes
    assert all(factors.users.dtype == factors.sources.dtype == np.float32 for factors in seen)
    told = scaling_table(rows).splitlines()
    assert "resampled from drawn" in told[0]
    assert told[-1].split() == ["960", "900", "10,000", "0.250", "300"]


def test_missing_data_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISCOVERY_CACHE", str(tmp_path / "cache"))
    for name, file in (("deck_cards_64", "deck_cards.parquet"), ("million_64", "gowalla.parquet")):
        assert main(["--only", name, "--data", str(tmp_path)]) == 1
        said = capsys.readouterr().err
        assert f"{tmp_path / file} is missing" in said
        assert "--data" in said
        assert "--factors" in said
    assert main(["--factors", str(tmp_path / "none.npz")]) == 1
    assert "none.npz is missing" in capsys.readouterr().err
    np.savez(tmp_path / "half.npz", users=np.ones((2, 2), np.float32))
    assert main(["--factors", str(tmp_path / "half.npz")]) == 1
    assert "lacks sources, indptr, indices" in capsys.readouterr().err


def test_factors_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(3)
    columns = {"user_id": random.integers(30, size=400), "item_id": 7 * random.integers(20, size=400)}
    monkeypatch.setenv("DISCOVERY_CACHE", str(tmp_path / "cache"))
    pq.write_table(pa.table(columns), tmp_path / "gowalla.parquet")
    monkeypatch.setitem(factors_module.RECIPES, "gowalla_64", replace(RECIPES["gowalla_64"], factors=4))
    first = named_set("gowalla_64", tmp_path)
    assert (first.name, first.users.shape, first.sources.shape) == ("gowalla_64", (30, 4), (20, 4))
    assert first.exclusions.nnz == len(set(zip(columns["user_id"], columns["item_id"], strict=True)))
    (tmp_path / "gowalla.parquet").unlink()
    assert np.array_equal(named_set("gowalla_64", tmp_path).users, first.users)
    monkeypatch.setattr(factors_module, "_MILLION", 500)
    many = named_set("million_64", tmp_path)
    assert (many.name, many.sources.shape, many.exclusions.shape) == ("million_64", (500, 4), (30, 500))
    assert many.with_users(70).exclusions.shape == (70, 500)


def test_goals_are_those_of_the_table() -> None:
    ratios = {"ours": 0.05, "portable": 0.21, "implicit": 49.0, "faiss": None, "spark": 1_000.0}
    goals = {goal.what: goal for goal in goals_of("million_64", 1_000_000, 100, ratios)}
    assert [goal.met for goal in goals.values()] == [True, False, False, None, True]
    assert [goal.goal for goal in goals_of("deck_cards_128", 14_532, 20, ratios)] == [None, None, 7, 1, 100]


def test_spark_s_model_is_in_files_for_both_cores(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    made = _factors(users=11)
    write_model(tmp_path / "model", made.users, made.sources)
    parts = sorted((tmp_path / "model/userFactors").iterdir())
    tables = [pq.read_table(part) for part in parts]
    assert [len(table) for table in tables] == [5, 6]
    assert tables[1]["features"][0].as_py() == made.users[5].tolist()
    assert json.loads((tmp_path / "model/metadata/part-00000").read_text())["rank"] == 8


def test_a_plot_is_drawn_or_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"n": 20, "dimensions": 64, "base": "drawn", "grows": "sources"}
    arms = {name: {"users_per_second": 1e3} for name in ARMS} | {"faiss": None}
    rows = [row | {"sources": 10**power, "arms": arms} for power in (3, 4)]
    if find_spec("matplotlib"):
        scaling.draw(rows, tmp_path / "docs/plot.png")
        assert (tmp_path / "docs/plot.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RankingBenchError, match="matplotlib"):
        scaling.check_can_draw()
