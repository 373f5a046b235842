"""A run of any size as files, made without Spark: what a look at a user reads, as large as it is in production."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from conf import contract
from conf.settings import Settings
from conf.share import EVERYBODY
from features.decay import factor_of
from jobs.run.manifest import Manifest, Request, StageRecord, bound_folder, save_manifest
from jobs.run.run_id import RunId
from jobs.storage.bound_folder import BoundFolder
from jobs.storage.dataset_names import PARTIAL_RECORD, folder_of
from jobs.storage.store import Storage
from models.arrays.arrow import column_of, list_column
from models.ranking import SourceIndex, rank_top_n

PRODUCT = "explained"
AS_OF = dt.date(2026, 11, 16)
RUN = "20261116T030000Z-20261116-1"
BEFORE = "20261109T030000Z-20261109-1"
"""The run that served before it, if it is made too: lists and sources only."""
_REDRAWN = 0.3
"""Part of its lists that are others altogether."""
WINDOWS = {"reactions": (10, ("like", "comment")), "clicks": (9, ("click",)), "joins": (14, ("join",))}
"""Event dataset → days of its window, and its events."""
_CHUNK = 50_000
"""Users that are drawn at once."""
_LIST_FILES = 8
_NOW = dt.datetime(2026, 11, 16, 3, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Size:
    """How large a world is."""

    users: int
    sources: int
    events: int
    d: int
    looked_at: int
    """Users whose lists are exact, and who are looked at; the lists of all others are drawn."""
    seed: int = 1


def settings(**lists: Any) -> Settings:
    """Returns the settings of the product, with these rules of lists."""
    windows = {name: {"path": name, "window": f"{days} days ago:today"} for name, (days, _) in WINDOWS.items()}
    weights = {"like": 1.0, "comment": 2.0, "click": 0.3, "join": 5.0}
    return Settings.model_validate(
        {
            "product": PRODUCT,
            "datasets": {"events": windows},
            "interactions": {"event_weights": weights},
            "lists": lists,
        }
    )


def make_world(home: Storage, size: Size, *, before: bool = False) -> list[int]:
    """Writes the run and its daily partials below `home`, and the run before. Returns whom to look at."""
    rng = np.random.default_rng(size.seed)
    folder = bound_folder(home, manifest_of({}, bound=True), remedy="make it again")
    folder.begin("features")
    looked_at = np.sort(rng.choice(size.users, size.looked_at, replace=False))
    counts, factors = _write_users(home, folder, size, rng, looked_at)
    sources = _factors(rng, size.sources, size.d)
    ids = pa.array(np.arange(size.sources))
    batches = [
        pa.record_batch(
            [ids[at : at + 2**15], _lists(sources[at : at + 2**15])], schema=contract.source_factors("int64")
        )
        for at in range(0, size.sources, 2**15)
    ]
    folder.write_table("source_factors", batches, contract.source_factors("int64"))
    write_sources(folder, counts, rng)
    _write_lists(folder, size, rng, sources, factors, looked_at)
    fallback = np.argsort(-counts, kind="stable")[:200]
    folder.write_bytes(
        "fallback.json",
        json.dumps({"source_ids": fallback.tolist(), "scores": counts[fallback].astype(float).tolist()}).encode(),
    )
    save_manifest(folder, manifest_of(folder.made(), bound=True, before=BEFORE if before else None, users=size.users))
    if before:
        _write_before(home, folder, size, rng)
    return [int(user) for user in looked_at]


def _write_before(home: Storage, after: BoundFolder, size: Size, rng: np.random.Generator) -> None:
    """Writes a run that knows the same sources; some of its lists are others, and some users have none."""
    folder = bound_folder(home, manifest_of({}, BEFORE, bound=True), remedy="make it again")
    folder.begin("features")
    folder.write_table("sources", after.table("sources").to_batches(), contract.sources("int64"))
    read, at = after.child("lists").local_path, folder.child("lists").local_path
    assert read is not None, "the world is made on this machine"
    assert at is not None, "the world is made on this machine"
    at.mkdir(parents=True)
    for file in sorted(read.glob("*.parquet")):
        table = pq.read_table(file)
        table = table.take(column_of(rng.permutation(len(table))[: max(1, len(table) * 49 // 50)]))
        lists: Any = table["source_ids"].combine_chunks()
        listed = lists.flatten().to_numpy().reshape(len(table), -1).copy()
        redrawn = rng.random(len(table)) < _REDRAWN
        listed[redrawn] = _drawn(rng, int(redrawn.sum()), listed.shape[1], size.sources)
        column = list_column(np.full(len(table), listed.shape[1]), column_of(listed.ravel()))
        pq.write_table(table.set_column(1, table.field(1), column), at / file.name, compression="zstd")
    folder.finish("lists")
    save_manifest(folder, manifest_of(folder.made(), BEFORE, bound=True))


def _factors(rng: np.random.Generator, rows: int, d: int) -> NDArray[np.float32]:
    """Returns vectors whose lengths differ by the same law as those of sources of a training."""
    lengths = rng.lognormal(-1, 0.7, rows)[:, None] / np.sqrt(d)
    found: NDArray[np.float32] = (rng.standard_normal((rows, d), np.float32) * lengths).astype(np.float32)
    return found


def _lists(vectors: NDArray[np.float32]) -> Any:
    return list_column(np.full(len(vectors), vectors.shape[1]), column_of(vectors.ravel()))


def _write_users(
    home: Storage, folder: BoundFolder, size: Size, rng: np.random.Generator, looked_at: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Writes what there is of users. Returns interactions of each source, and the factors of `looked_at`."""
    counts, kept = np.zeros(size.sources, np.int64), []
    schemas = {
        "interactions": contract.interactions("int64"),
        "exclusions": contract.exclusions("int64"),
        "user_factors": contract.user_factors("int64"),
    }
    with ExitStack() as stack:
        writers = {name: stack.enter_context(_writer(folder, name, schema)) for name, schema in schemas.items()}
        days = Days(home, stack)
        for first in range(0, size.users, _CHUNK):
            users = np.arange(first, min(first + _CHUNK, size.users))
            events = _events(users, size, rng)
            days.write(events)
            pairs = pairs_of(events)
            counts += np.bincount(pairs["source_id"].to_numpy(), minlength=size.sources)
            for at in range(0, len(pairs), 100_000):
                writers["interactions"].write_table(pairs.slice(at, 100_000))
            writers["exclusions"].write_table(_exclusions(pairs, rng))
            vectors = _factors(rng, len(users), size.d)
            for at in range(0, len(users), 2**15):
                part = [pa.array(users[at : at + 2**15]), _lists(vectors[at : at + 2**15])]
                writers["user_factors"].write_table(pa.table(part, schema=schemas["user_factors"]))
            kept.append(vectors[looked_at[(looked_at >= users[0]) & (looked_at <= users[-1])] - first])
    for name in schemas:
        folder.finish(name)
    return counts, np.concatenate(kept)


def _writer(folder: Storage, table: str, schema: pa.Schema) -> pq.ParquetWriter:
    at = folder.child(table).local_path
    assert at is not None, "the world is made on this machine"
    at.mkdir(parents=True)
    return pq.ParquetWriter(at / "part-0.parquet", schema, compression="zstd")


def event_names() -> list[tuple[str, dt.date, str]]:
    """Returns every (dataset, day, event)."""
    return [
        (name, AS_OF - dt.timedelta(days=ago), event)
        for name, (days, events) in WINDOWS.items()
        for ago in range(days, 0, -1)
        for event in events
    ]


def _events(users: NDArray[np.int64], size: Size, rng: np.random.Generator) -> pa.Table:
    """Returns events as (user_id, source_id, kind); kind: a place of `event_names`."""
    number = round(size.events * len(users) / size.users)
    who = users[(rng.power(0.6, number) * len(users)).astype(np.int64)]
    what = np.minimum((rng.pareto(1.0, number) * size.sources / 200).astype(np.int64), size.sources - 1)
    kinds = rng.integers(0, len(event_names()), number)
    return pa.table({"user_id": pa.array(who), "source_id": pa.array(what), "kind": pa.array(kinds)})


def pairs_of(events: pa.Table) -> pa.Table:
    """Returns contract.interactions of events."""
    made = settings().interactions
    factors = np.array(
        [
            factor_of(made.event_weights[event], (AS_OF - day).days, made.half_life_days)
            for _, day, event in event_names()
        ]
    )
    weighed = events.append_column("weight", pa.array(factors[events["kind"].to_numpy()]))
    pairs = weighed.group_by(["user_id", "source_id"]).aggregate([("weight", "sum")])
    pairs = pairs.sort_by([("user_id", "ascending"), ("source_id", "ascending")])
    last = pa.array(np.full(len(pairs), np.datetime64(AS_OF, "us"))).cast(pa.timestamp("us", "UTC"))
    columns: Any = [pairs["user_id"], pairs["source_id"], pairs["weight_sum"], last]
    return pa.table(columns, schema=contract.interactions("int64"))


def _exclusions(pairs: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Returns the seen pairs, and a fifth of them as subscriptions, in the order in which Spark may write them."""
    also = pairs.take(rng.choice(len(pairs), len(pairs) // 5, replace=False))
    rows = pa.concat_tables([pairs, also]).select(["user_id", "source_id"])
    reason = pa.array(["seen"] * len(pairs) + ["subscribed"] * len(also))
    return pa.table([*rows.columns, reason], schema=contract.exclusions("int64"))


class Days:
    """The daily partials of every dataset."""

    def __init__(self, home: Storage, stack: ExitStack) -> None:
        self._schema = contract.daily_partials("int64").append(pa.field("left_out", pa.string()))
        at = home.child(f"partials/{PRODUCT}")
        self._writers = dict[tuple[str, dt.date], pq.ParquetWriter]()
        for name, day, _ in event_names():
            if (name, day) not in self._writers:
                self._writers[name, day] = stack.enter_context(_writer(at, f"{name}/{folder_of(day)}", self._schema))
                record = {"day": str(day), "fingerprint": f"{name} {day}"}
                at.write_bytes(f"{name}/{folder_of(day)}/{PARTIAL_RECORD}", json.dumps(record).encode())

    def write(self, events: pa.Table) -> None:
        """Writes the events of some users; of equal ones the number."""
        kinds = events["kind"].to_numpy()
        for kind, (name, day, event) in enumerate(event_names()):
            some = (
                events.filter(column_of(kinds == kind))
                .group_by(["user_id", "source_id"])
                .aggregate([("kind", "count")])
            )
            n = len(some)
            last = pa.array(np.full(n, np.datetime64(day, "us"))).cast(pa.timestamp("us", "UTC"))
            columns: Any = [
                some["user_id"],
                some["source_id"],
                pa.array([event] * n, pa.string()),
                some["kind_count"],
                some["kind_count"].cast(pa.float64()),
                last,
                pa.nulls(n, pa.string()),
            ]
            self._writers[name, day].write_table(pa.table(columns, schema=self._schema))


def write_sources(folder: Storage, counts: NDArray[np.int64], rng: np.random.Generator) -> None:
    """Writes contract.sources of sources 0, 1, …, which have so many users; the rest is drawn."""
    n = len(counts)
    names: Any = pa.array([f"category {at}" for at in range(200)])
    categories = names.take(pa.array(rng.integers(0, 200, n), pa.int64()))
    columns: Any = [
        np.arange(n),
        rng.random(n) < 0.9,
        categories,
        rng.integers(0, 2**40, n),
        counts,
        counts.astype(float),
    ]
    table = pa.table([pa.array(column) for column in columns], schema=contract.sources("int64"))
    folder.write_table("sources", table.to_batches(2**17), contract.sources("int64"))


def _write_lists(
    folder: BoundFolder,
    size: Size,
    rng: np.random.Generator,
    sources: NDArray[np.float32],
    factors: NDArray[np.float32],
    looked_at: NDArray[np.int64],
) -> None:
    n, schema = settings().lists.n, contract.lists("int64")
    exact = dict(zip(looked_at.tolist(), _exact_lists(folder, sources, factors, looked_at, n), strict=True))
    at = folder.child("lists").local_path
    assert at is not None
    at.mkdir(parents=True)
    order = rng.permutation(size.users)  # Spark's join leaves them in the order of a hash
    for number, users in enumerate(np.array_split(order, _LIST_FILES)):
        listed = _drawn(rng, len(users), n, size.sources)
        scores = -np.sort(-rng.random((len(users), n), np.float32))
        for row in np.flatnonzero(np.isin(users, looked_at)).tolist():
            listed[row], scores[row] = exact[int(users[row])]
        lengths = np.full(len(users), n)
        columns = [
            pa.array(users),
            list_column(lengths, column_of(listed.ravel())),
            list_column(lengths, column_of(scores.ravel())),
            pa.array(np.ones(len(users), bool)),
        ]
        pq.write_table(pa.table(columns, schema=schema), at / f"part-{number}.parquet", compression="zstd")
    folder.finish("lists")


def _drawn(rng: np.random.Generator, rows: int, n: int, sources: int) -> NDArray[np.int64]:
    """Returns lists of distinct sources."""
    steps = rng.integers(1, max(2, sources // n + 1), (rows, n))
    found: NDArray[np.int64] = (rng.integers(0, sources, (rows, 1)) + np.cumsum(steps, axis=1)) % sources
    return found


def _exact_lists(
    folder: Storage, sources: NDArray[np.float32], factors: NDArray[np.float32], users: NDArray[np.int64], n: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    eligible = folder.table("sources").to_table(columns=["eligible"])["eligible"].to_numpy()
    rows = np.flatnonzero(eligible)
    place = np.cumsum(eligible) - 1
    out = folder.table("exclusions").to_table(filter=_of(users), columns=["user_id", "source_id"])
    who, what = np.searchsorted(users, out["user_id"].to_numpy()), out["source_id"].to_numpy()
    kept = eligible[what]
    exclude = csr_matrix((np.ones(int(kept.sum())), (who[kept], place[what[kept]])), shape=(len(users), len(rows)))
    best = rank_top_n(SourceIndex.build(sources[rows]), factors, n, exclude=exclude)
    for ids, scores in zip(best.ids, best.scores, strict=True):
        yield rows[ids], scores


def _of(users: NDArray[np.int64]) -> Any:
    import pyarrow.dataset as ds

    return ds.field("user_id").isin(pa.array(users))


_CONSTANTS = {"confidence_per_weight": 20.0, "regularization": 5.0, "user_damping": 0.4, "source_damping": 0.4}


def manifest_of(
    made: dict[str, str],
    run: str = RUN,
    *,
    bound: bool,
    before: str | None = None,
    users: int = 0,
    constants: Mapping[str, float] = MappingProxyType(_CONSTANTS),
    product: Settings | None = None,
) -> Manifest:
    """Returns the manifest of the run, whose training had these constants."""
    request = Request(
        run_id=run,
        product=PRODUCT,
        as_of=RunId.parse(run).as_of,
        config_hash="",
        share_bp=EVERYBODY,
        first=True,
        publish_old=False,
        overrides={},
        trigger_id=None,
    )
    training: dict[str, Any] = {"algorithm": "als", "started": "cold", "trained_on": "interactions", "users": users}
    training["constants"] = dict(constants)
    facts: dict[str, dict[str, Any]] = {
        "features": {"inputs": _inputs()},
        "train": {"training": training},
        "topn": {},
    }
    stages = {
        name: StageRecord(
            finished_at=_NOW,
            code_version="",
            seconds=0,
            peak_bytes={},
            facts=found,
            made=made if name == "features" else {},
        )
        for name, found in facts.items()
    }
    return Manifest(
        request=request,
        started_by="benchmark",
        created_at=_NOW,
        code_version="",
        libraries={},
        settings=(product or settings()).model_dump(mode="json"),
        serving_before=before,
        stages=stages if made else {},
        bound=bound,
    )


def _inputs() -> Sequence[dict[str, Any]]:
    return [
        {
            "name": name,
            "start": str(AS_OF - dt.timedelta(days=days)),
            "end": str(AS_OF),
            "days": [
                {"day": str(day), "fingerprint": f"{name} {day}"}
                for day in (AS_OF - dt.timedelta(days=ago) for ago in range(days, 0, -1))
            ],
        }
        for name, (days, _) in WINDOWS.items()
    ]
