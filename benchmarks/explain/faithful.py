"""Whether an explanation is true: real interactions are trained on, listed and loaded into Redis, then users looked at.

What is said of a user is compared with the tables of the run and with a list that is filled source by source.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import redis
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.explain.by_hand import fill
from benchmarks.explain.cause import DATA_SETS
from benchmarks.explain.world import (
    PRODUCT,
    RUN,
    Days,
    event_names,
    manifest_of,
    pairs_of,
    settings,
    write_sources,
)
from benchmarks.publish.world import GeneratedSnapshot, ListShape, announcement_of
from benchmarks.quality.known import known_split
from benchmarks.quality.part import SplitPart
from conf import contract
from conf.settings import ListSettings, PublishSettings
from conf.training import AlsSettings
from deploy.servers.redis_server import RedisServer
from jobs.inspector.archive import Archive
from jobs.inspector.explanation import Row, UserExplanation
from jobs.inspector.forgotten import Forgotten
from jobs.inspector.looks import Looks
from jobs.inspector.user import Inspection, explain_user
from jobs.run.manifest import bound_folder, save_manifest
from jobs.storage.bound_folder import BoundFolder
from jobs.storage.store import Storage
from models.arrays.arrow import column_of, factor_matrix, numpy_of
from models.explain.absent import Limits, Traits
from models.explain.rules import EXCLUDED, Rule
from models.lists.candidates import Candidates
from models.lists.caps import best_lists
from models.lists.fallback import fallback_list
from models.lists.topn import list_columns
from models.ranking import SourceIndex, rank_top_n
from models.training.train import Embeddings, train
from publish.runs.pointer import PointerStore
from publish.runs.promotion import Promoter
from publish.runs.registry import RunRegistry
from publish.send.snapshot import measure_partition
from publish.wire.encoding import encode_rows
from publish.wire.keys import Layout

LIMITS = Limits(50, per_category=8, per_owner=3)
"""The rules of the lists."""
SMALL = 0.05
"""Share of a score up to which the remainder is small."""


@dataclass(frozen=True)
class Faithful:
    """What was said of users, against what is so; numbers."""

    users: int
    rebuilt: int
    """Users whose list, made again, is the row of the run and the value decoded from Redis."""
    scores: int
    small: int
    """Scores of listed sources whose remainder is small."""
    absent: int
    """Better sources that are not in the list, by the list that is filled one by one."""
    one_rule: int
    """Those of them with the first rule, and only that, which it says."""
    pairs: int
    agreeing: int
    """Interactions whose weight is the sum of their events."""

    def __str__(self) -> str:
        parts = {
            "rebuilt, as in the run and in Redis": (self.rebuilt, self.users),
            f"remainder at most {SMALL:.0%} of the score": (self.small, self.scores),
            "better absentees with their first rule": (self.one_rule, self.absent),
            "weights that are the sums of their events": (self.agreeing, self.pairs),
        }
        return "; ".join(f"{what} {some:,} of {every:,} ({some / every:.2%})" for what, (some, every) in parts.items())


def table(data: Path, users: int, factors: int) -> Iterator[str]:
    """Yields a line for each data set. Raises QualityError without the data."""
    for name in DATA_SETS:
        yield f"{name}: {faithful(known_split(name, data).final, AlsSettings(factors=factors), users)}"


def faithful(part: SplitPart, training: AlsSettings, users: int, seed: int = 1) -> Faithful:
    """Makes a run of the interactions, loads it into a Redis of its own, and asks about random users."""
    with (
        tempfile.TemporaryDirectory() as home,
        RedisServer(Path(home) / "redis") as server,
        redis.Redis.from_url(server.url) as client,
    ):
        storage = Storage(f"{home}/work")
        folder = _make_run(storage, part, training, np.random.default_rng(seed))
        rows = folder.table("lists").to_table()
        _load(client, rows)
        every = rows["user_id"].to_numpy()
        asked = np.random.default_rng(seed).choice(every, min(users, len(every)), replace=False)
        forgotten, looks = Forgotten(lambda: frozenset()), Looks(storage, PRODUCT)
        inspection = Inspection(PRODUCT, Archive(storage, PRODUCT, copies=True), forgotten, looks, client)
        return _compare(_Truth(folder), inspection, asked.tolist())


def _make_run(home: Storage, part: SplitPart, training: AlsSettings, rng: np.random.Generator) -> BoundFolder:
    product = settings(n=LIMITS.n, max_per_category=LIMITS.per_category, max_per_owner=LIMITS.per_owner)
    folder = bound_folder(home, manifest_of({}, bound=True, product=product), remedy="make it again")
    folder.begin("features")
    events = _events(part.train, rng)
    with ExitStack() as stack:
        Days(home, stack).write(events)
    pairs = pairs_of(events)
    made = train(ds.dataset(pairs), training, "int64")
    counts = np.bincount(pairs["source_id"].to_numpy())
    exclusions = _exclusions(pairs, len(counts), rng)
    assert made.stats.constants is not None
    folder.write_table("interactions", pairs.to_batches(), pairs.schema)
    folder.write_table("exclusions", exclusions.to_batches(), exclusions.schema)
    folder.write_table("user_factors", made.user_batches(), contract.user_factors("int64"))
    folder.write_table("source_factors", made.source_batches(), contract.source_factors("int64"))
    write_sources(folder, counts, rng)
    lists = _lists(folder, made, exclusions, product.lists)
    folder.write_table("lists", lists.to_batches(), lists.schema)
    sources = folder.table("sources").to_table()
    folder.write_bytes("fallback.json", fallback_list(sources, product.lists.fallback_size).to_json())
    constants = {name: float(value) for name, value in vars(made.stats.constants).items()}
    save_manifest(folder, manifest_of(folder.made(), bound=True, constants=constants, product=product))
    return folder


def _events(pairs: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Returns one to three events of each pair, of drawn kinds."""
    each = np.repeat(np.arange(len(pairs)), rng.integers(1, 4, len(pairs)))
    kinds = rng.integers(0, len(event_names()), len(each))
    return pairs.select(["user_id", "source_id"]).take(column_of(each)).append_column("kind", pa.array(kinds))


def _exclusions(pairs: pa.Table, sources: int, rng: np.random.Generator) -> pa.Table:
    """Returns the seen pairs, and for each other reason a tenth as many drawn ones, in any order."""
    users, seen = numpy_of(pairs["user_id"]), numpy_of(pairs["source_id"])
    parts = [(users, seen, "seen")]
    for reason in contract.EXCLUSION_REASONS[1:]:
        some = rng.choice(users, len(users) // 10)
        parts.append((some, np.minimum(rng.pareto(0.5, len(some)), sources - 1).astype(np.int64), reason))
    schema = contract.exclusions("int64")
    columns = [[pa.array(one), pa.array(what), pa.array([why] * len(one))] for one, what, why in parts]
    every = pa.concat_tables([pa.table(some, schema=schema) for some in columns])
    return every.take(column_of(rng.permutation(len(every))))


def _lists(folder: BoundFolder, made: Embeddings, exclusions: pa.Table, rules: ListSettings) -> pa.Table:
    sources = folder.table("sources").to_table()
    candidates = Candidates.build(folder.table("source_factors"), sources, "int64")
    users, rows = made.users.rows(exclusions["user_id"]), candidates.ids.rows(exclusions["source_id"])
    kept = (users >= 0) & (rows >= 0)
    shape = (len(made.users), len(candidates))
    exclude = csr_matrix((np.ones(int(kept.sum()), np.float32), (users[kept], rows[kept])), shape=shape)
    lists, scores = list_columns(best_lists(candidates, made.user_factors, exclude, rules), candidates.ids)
    columns = [made.users.to_arrow(), lists, scores, pa.array(np.ones(len(made.users), bool))]
    names = contract.lists("int64").names
    return pa.table(columns, names=names).cast(contract.lists("int64"))


def _load(client: "redis.Redis", lists: pa.Table) -> None:
    """Writes the lists as a run that serves everybody, by the product's own codec."""
    made = PublishSettings()
    layout = Layout.plan(PRODUCT, made.partitions, len(lists), made.users_per_bucket)
    batches = _partitions(lists, layout)
    snapshot = GeneratedSnapshot(ListShape("lists", LIMITS.n, snowflake=False), made, tuple(batches))
    slices = [measure_partition([batch], number, layout, "int64") for number, batch in enumerate(batches)]
    registry = RunRegistry(client, PRODUCT)
    run = announcement_of(snapshot, layout, slices, RUN, registry.next_epoch())
    registry.announce(run)
    registry.start_loading(RUN)
    pipeline = client.pipeline(transaction=False)
    for batch in batches:
        users: list[Any] = batch["user_id"].to_pylist()
        for user, payload in zip(users, encode_rows(batch, "int64"), strict=True):
            pipeline.hset(layout.bucket(RUN, *layout.place_of(user)), str(user), payload)
    pipeline.execute()
    registry.ready(RUN)
    Promoter(registry, PointerStore(client, PRODUCT)).promote(RUN)


def _partitions(lists: pa.Table, layout: Layout) -> list[pa.RecordBatch]:
    """Returns contract.snapshot, a batch for each partition, in the order of buckets."""
    users: list[Any] = lists["user_id"].to_pylist()
    places = [(*layout.place_of(user), user) for user in users]
    rows: list[list[int]] = [[] for _ in range(layout.partitions)]
    for row in sorted(range(len(places)), key=places.__getitem__):
        rows[places[row][0]].append(row)
    return [_partition(lists.take(column_of(np.array(some, np.int64))), number) for number, some in enumerate(rows)]


def _partition(lists: pa.Table, number: int) -> pa.RecordBatch:
    schema, columns = contract.snapshot("int64"), ("user_id", "source_ids", "scores")
    found: Any = [
        pa.array(np.full(len(lists), number, np.int32)),
        pa.array(np.arange(len(lists))),
        *(lists[name].combine_chunks() for name in columns),
    ]
    return pa.record_batch(found, schema=schema)


class _Truth:
    """The tables of the run, and the list that they make, one source after the other."""

    def __init__(self, folder: BoundFolder) -> None:
        factors = folder.table("source_factors").to_table().sort_by("source_id")
        self.ids = factors["source_id"].to_numpy()
        self.index = SourceIndex.build(_matrix(factors))
        users = folder.table("user_factors").to_table().sort_by("user_id")
        self.users, self.vectors = users["user_id"].to_numpy(), _matrix(users)
        sources = folder.table("sources").to_table().sort_by("source_id").take(column_of(self.ids))  # 0, 1, …
        self.traits = Traits(
            numpy_of(sources["eligible"]), *(_codes(sources[name]) for name in ("category", "owner_id"))
        )
        self.reasons: dict[int, dict[int, list[str]]] = {}
        for row in folder.table("exclusions").to_table().to_pylist():
            self.reasons.setdefault(row["user_id"], {}).setdefault(row["source_id"], []).append(row["reason"])
        lists = folder.table("lists").to_table().to_pylist()
        self.rows = {row["user_id"]: Row(tuple(row["source_ids"]), tuple(row["scores"])) for row in lists}

    def ranking(self, user: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Returns all sources as rows, best first, and their scores."""
        best = rank_top_n(self.index, self.vectors[[np.searchsorted(self.users, user)]], len(self.ids))
        return best.ids[0].astype(np.int64), best.scores[0]

    def by_hand(self, user: int) -> tuple[list[int], list[tuple[int, Rule]]]:
        """Returns the list, and what is better than its last one and why it is out, as ids."""
        reasons = {
            int(np.searchsorted(self.ids, source)): next(rule for rule in EXCLUDED if rule in some)
            for source, some in self.reasons.get(user, {}).items()
        }
        kept, dropped = fill(*self.ranking(user), self.traits, reasons, LIMITS)
        return [int(self.ids[row]) for row in kept], [(int(self.ids[row]), rule) for row, rule in dropped]


def _matrix(table: pa.Table) -> NDArray[np.float32]:
    column: Any = table["factors"].combine_chunks()
    return factor_matrix(column, len(column[0]))


def _codes(column: Any) -> NDArray[np.int32]:
    indices = column.combine_chunks().dictionary_encode().indices
    return numpy_of(indices.fill_null(-1)).astype(np.int32)


def _compare(truth: _Truth, inspection: Inspection, users: list[int]) -> Faithful:
    counts = Counter[str]()
    for user in users:
        counts.update(_one(truth, explain_user(inspection, user, who="benchmark"), user))
    return Faithful(len(users), **{name: counts[name] for name in Faithful.__dataclass_fields__ if name != "users"})


def _one(truth: _Truth, found: UserExplanation, user: int) -> dict[str, int]:
    kept, dropped = truth.by_hand(user)
    row, stored = truth.rows[user], None if found.stored is None else found.stored.row
    same = (
        found.rebuilt is True
        and row == found.row
        and list(row.source_ids) == kept
        and stored is not None
        and stored.source_ids == row.source_ids
        and np.array_equal(np.array(stored.scores, np.float32), np.array(row.scores, np.float32))
    )
    said = [(one.source, one.rule) for one in found.absent]
    by_rule = Counter(str(rule) for _, rule in dropped)
    right = len(dropped) if found.absent_by_rule == by_rule and said == dropped[: len(said)] else 0
    scores = [one.score for one in found.listed]
    small = [s.remainder is not None and abs(s.remainder) <= SMALL * abs(s.value) for s in scores]
    return {
        "rebuilt": int(same),
        "scores": len(scores),
        "small": sum(small),
        "absent": len(dropped),
        "one_rule": right,
        "pairs": len(found.pairs),
        "agreeing": sum(pair.agrees is True for pair in found.pairs),
    }
