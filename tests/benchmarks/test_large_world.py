"""The benchmark of a large world, tiny: ranked, killed, gone on with, published, and looked up."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest
import redis
from scipy.sparse import random as random_matrix

from benchmarks.large_world import __main__ as large_world
from benchmarks.large_world import push as push_module
from benchmarks.large_world.errors import LargeWorldError
from benchmarks.large_world.proof import check_ranking, check_served
from benchmarks.large_world.push import CONFIG, Servers, announcement_of, push
from benchmarks.large_world.ranking import build_candidates, rank_piece, resample_piece
from benchmarks.large_world.snapshot import write_partition
from benchmarks.large_world.table import as_text, figures_of
from benchmarks.large_world.world import LargeWorld, Size
from benchmarks.ranking.factors import FactorSet
from conf.load import load_settings
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.redis_server import RedisServer

_SIZE = Size(users=500, sources=300, piece=200, n=7, partitions=3)


def _base() -> FactorSet:
    random = np.random.default_rng(5)
    users, sources = (random.standard_normal((rows, 8), dtype=np.float32) for rows in (40, 60))
    return FactorSet("drawn", users, sources, random_matrix(40, 60, 0.1, "csr", np.float32, rng=random))


@pytest.fixture
def world(tmp_path: Path) -> LargeWorld:
    """A world with its candidates, published as a product of its own."""
    made = LargeWorld.open(tmp_path / "world", _SIZE, load_settings(CONFIG), f"tiny_world_{uuid4().hex[:8]}")
    made.write_sources(_base())
    (made.home / "candidates.json").write_text(json.dumps(build_candidates(made)))
    return made


def test_a_piece_is_the_same_on_every_call_and_no_list_holds_what_is_excluded(world: LargeWorld) -> None:
    piece = world.users(1)
    assert piece.equals(world.users(1))
    assert not piece.column("user_id").equals(world.users(0).column("user_id"))
    rank_piece(world, 1)
    lists = pq.read_table(world.lists.content(1)).to_pylist()
    excluded = {row["user_id"]: set(row["excluded"]) for row in piece.select(["user_id", "excluded"]).to_pylist()}
    assert {row["user_id"] for row in lists} == excluded.keys()
    assert any(excluded.values())
    assert not any(excluded[row["user_id"]] & set(row["source_ids"]) for row in lists)


def test_a_piece_that_is_done_is_not_done_again_and_another_world_is_refused(world: LargeWorld) -> None:
    rank_piece(world, 0)
    before = world.lists.content(0).stat().st_mtime_ns
    with world.lists.writing(1) as draft:  # a kill before the record
        draft.write_bytes(b"half")
    assert world.lists.missing() == [1, 2]
    for piece in world.lists.missing():
        rank_piece(world, piece)
    assert world.lists.missing() == []
    assert world.lists.content(0).stat().st_mtime_ns == before
    with pytest.raises(LargeWorldError, match="choose another --home"):
        LargeWorld.open(world.home, Size(501, 300, 200, 7, 3), load_settings(CONFIG))


class _Killed(Exception):
    """Stands for a kill between two pieces."""


def _one_and_no_more(work: Callable[..., None], arguments: list[tuple[Any, ...]], _: int) -> None:
    work(*arguments[0])
    raise _Killed


def test_everybody_is_served_what_was_ranked(
    world: LargeWorld,
    kafka_broker: KafkaBroker,
    redis_server: RedisServer,
    clean_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for piece in (0, 2):
        rank_piece(world, piece)
    resample_piece(world, 1, [0, 2])
    for partition in world.snapshot.missing():
        write_partition(world, partition)
    assert check_ranking(world, 20) == {"lists": 20, "wrong": 0}
    pids = {"kafka": kafka_broker.pid, "redis": redis_server.pid}
    servers = Servers(kafka_broker.bootstrap, redis_server.url, pids, {"redis": redis_server.folder})
    run = announcement_of(world)
    with monkeypatch.context() as patch:
        patch.setattr(push_module, "in_processes", _one_and_no_more)
        with pytest.raises(_Killed):
            push(world, run, servers)
    assert world.sent.missing() == [1, 2]
    figures = push(world, run, servers)  # goes on: a partition sent twice would count in Kafka
    assert push(world, run, servers) == figures, "what serves is not pushed again"
    served = check_served(world, run, servers, 60)
    assert set(served["counts"].values()) == {500}
    assert (served["dead_letters"], served["faults"], served["looked_up"], served["different"]) == (0, [], 60, 0)
    result = figures_of(world) | {"ranking_check": check_ranking(world, 20), "push": figures, "served": served}
    assert (result["ranked"]["users"], result["ranked"]["resampled"]) == (300, 200)
    assert "200 users were not ranked" in as_text(result)


def test_the_command_ranks_a_file_of_factors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _base().save(tmp_path / "base.npz")
    words = ["--users", "300", "--sources", "200", "--piece", "100", "--n", "5", "--partitions", "2"]
    words += ["--processes", "1", "--until", "rank", "--json"]
    words += ["--home", str(tmp_path / "w"), "--factors", str(tmp_path / "base.npz")]
    assert large_world.main(words) == 0
    text, figures = capsys.readouterr().out.rsplit("\n", 2)[:2]
    assert json.loads(figures)["ranked"]["users"] == 300
    assert "users per core and second" in text
