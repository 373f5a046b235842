"""What was ranked is exact, and what is served is what was ranked: counts of everything, and samples of lists."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import redis

from benchmarks.large_world.pieces import Record
from benchmarks.large_world.push import Servers
from benchmarks.large_world.world import LargeWorld
from benchmarks.ranking.check import check_lists
from benchmarks.ranking.factors import FactorSet
from models.arrays.arrow import factor_matrix, numpy_of
from models.arrays.ids import IdMap
from models.lists.candidates import Candidates
from models.lists.topn import exclusion_matrix
from models.ranking import TopN
from publish.connect.watermarks import watermarks
from publish.operate.control import Control
from publish.operate.dead_letter_reader import count_letters
from publish.read.reader import Reader
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement

_CHECKED_PER_PIECE = 10
_AT_ONCE = 2_000


def check_ranking(world: LargeWorld, lists: int) -> Record:
    """Compares lists of users all over the world with brute force in float64. Returns how many, and how many differ."""
    candidates = Candidates.load(world.candidates)
    sources = np.empty_like(candidates.index.sources.factors)
    sources[candidates.index.sources.rows] = candidates.index.sources.factors
    ranked = [piece for piece in range(world.lists.count) if (world.lists.record(piece) or {}).get("ranked")]
    checked = wrong = 0
    for piece in ranked[:: max(1, len(ranked) * _CHECKED_PER_PIECE // lists)]:
        users = world.users(piece).slice(0, _CHECKED_PER_PIECE)
        exclusions = exclusion_matrix(users.column("excluded"), candidates)
        factors = FactorSet("", factor_matrix(users.column("factors"), sources.shape[1]), sources, exclusions)
        found = check_lists(factors, 0, _lists_of(world, piece, numpy_of(users.column("user_id")), candidates.ids))
        checked, wrong = checked + found.users, wrong + found.wrong
    return {"lists": checked, "wrong": wrong}


def check_served(world: LargeWorld, run: Announcement, servers: Servers, lookups: int) -> Record:
    """Counts the lists everywhere, verifies the run, and looks users up. Returns the counts, faults and differences."""
    topic, places = run.layout.topic, range(run.partitions)
    with redis.Redis.from_url(servers.url, socket_timeout=60) as client:
        statuses = RedisStore(client).progress(run)
        records = sum(high - low for low, high in watermarks(servers.kafka, topic, places).values())
        counts = {
            "ranked": sum(record["users"] for record in world.lists.records()),
            "announced": run.users,
            "acknowledged": sum(record["slice"]["count"] for record in world.sent.records()),
            "kafka": records - 2 * run.partitions,
            "loaded": sum(status.loaded for status in statuses),
            "redis": _fields(client, run),
        }
        faults = Control.connect(client, run.product).verify(run.run)
        return {
            "counts": counts,
            "dead_letters": count_letters(servers.kafka, run.layout.dead_letter_topic),
            "faults": list(faults),
            **_looked_up(world, run, client, lookups),
        }


def _lists_of(world: LargeWorld, piece: int, users: np.ndarray, ids: IdMap) -> TopN:
    lists, top = _read_lists(world.lists.content(piece), users), TopN.empty(len(users), world.size.n)
    for place, user in enumerate(users.tolist()):
        sources, scores = lists[user]
        top.ids[place, : len(sources)] = ids.rows(pa.array(sources, pa.int64()))
        top.scores[place, : len(scores)] = scores
    return top


def _read_lists(path: Path, users: np.ndarray) -> dict[int, tuple[list[int], list[float]]]:
    rows = pq.read_table(path, filters=pc.field("user_id").isin(users.tolist())).to_pylist()
    return {row["user_id"]: (row["source_ids"], row["scores"]) for row in rows}


def _fields(client: redis.Redis, run: Announcement) -> int:
    """Returns the number of lists in all hashes of the run."""
    found = 0
    for partition in range(run.partitions):
        keys = run.layout.bucket_keys(run.run, partition)
        while some := list(islice(keys, _AT_ONCE)):
            pipe = client.pipeline(transaction=False)
            for key in some:
                pipe.hlen(key)
            found += sum(pipe.execute())
    return found


def _looked_up(world: LargeWorld, run: Announcement, client: redis.Redis, lookups: int) -> Record:
    reader, looked_up, different = Reader(client, run.product), 0, 0
    for user, sources, scores in _sample(world, lookups):
        answer = reader.lookup(user)
        same = (answer.run, answer.kind, list(answer.source_ids), list(answer.scores)) == (
            run.run,
            "list",
            sources,
            scores,
        )
        looked_up, different = looked_up + 1, different + (not same)
    return {"looked_up": looked_up, "different": different}


def _sample(world: LargeWorld, lookups: int) -> Iterator[tuple[int, list[int], list[float]]]:
    """Yields users with their ranked lists, as many from each piece, all of one Kafka partition there."""
    random = np.random.default_rng([world.size.seed, 2])
    each = -(-lookups // world.lists.count)
    for piece in range(world.lists.count):
        rows = pq.ParquetFile(world.lists.content(piece)).read_row_group(int(random.integers(world.size.partitions)))
        for row in random.permutation(len(rows))[:each].tolist():
            (found,) = rows.slice(row, 1).to_pylist()
            yield found["user_id"], found["source_ids"], found["scores"]
