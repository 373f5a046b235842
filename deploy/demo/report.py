"""Prints the end of the demo: three users, the gates, the stages, and the quality of the published lists."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.dataset as ds

from conf.base import format_bytes
from conf.connections import RedisConnection
from conf.ids import UserId
from conf.load import load_settings
from conf.text_table import table
from deploy.chain import ProductFiles
from deploy.demo.ranked import lists_of_ranking
from deploy.demo.truth import planted_ndcg
from deploy.demo.world import WorldSummary
from jobs.run.manifest import Manifest, find_run
from jobs.stages.gates import INPUT_FACT
from jobs.stages.lists_from_factors import FALLBACK
from jobs.storage.store import Storage
from models.lists.fallback import Fallback
from publish.connect.redis_clients import StoreClient, redis_client
from publish.read.reader import Reader

_JUDGED = 10  # NDCG@10
_SHOWN = 3


@dataclass(frozen=True)
class Demo:
    """A demo that has served: its folder, product, run id, world and Redis address."""

    home: Path
    product: ProductFiles
    run: str
    world: WorldSummary
    redis_url: str


def report(demo: Demo) -> None:
    """Reads every list back from Redis as a service would, judges them and prints the summary. Raises PublishError."""
    settings = load_settings(demo.product.config, demo.product.overlays)
    kept = find_run(Storage(str(demo.home)), settings.product, demo.run)
    assert kept is not None, "the job wrote a manifest, or the demo failed before"
    client = redis_client(RedisConnection.of(demo.redis_url))
    reader = Reader(client, settings.product)
    users = cast("list[UserId]", _newest(demo.home / "data/audience")["user_id"].to_pylist())
    sys.stdout.write(_lookups(reader, users))
    sys.stdout.write(_stages(kept.manifest))
    sys.stdout.write(_gates(kept.manifest))
    published = _read_back(reader, users)
    exclusions = kept.folder.table("exclusions").to_table(columns=["user_id", "source_id"])
    truth = demo.home / "data/_truth"
    ours = planted_ndcg(truth, published, exclusions, k=_JUDGED)
    fallback = Fallback.of_json(kept.folder.read_bytes(FALLBACK), settings.ids).source_ids
    popular = planted_ndcg(
        truth, lists_of_ranking(fallback, published["user_id"], exclusions, _JUDGED), exclusions, k=_JUDGED
    )
    sys.stdout.write(_summary(demo, kept.manifest, client, published.num_rows, ours, popular))


def _newest(dataset: Path) -> pa.Table:
    newest = max(path for path in dataset.iterdir() if path.name.startswith("dt="))
    return ds.dataset(newest, format="parquet").to_table()


def _read_back(reader: Reader, users: list[UserId]) -> pa.Table:
    return pa.table({"user_id": users, "source_ids": [list(reader.lookup(user).source_ids) for user in users]})


def _titled(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"{title}\n{table(rows, header, indent=1, to=sys.stdout)}\n"


def _lookups(reader: Reader, users: list[UserId]) -> str:
    rows = []
    for user in users[:: max(1, len(users) // _SHOWN)][:_SHOWN]:
        answer = reader.lookup(user)
        best = ", ".join(str(source) for source in answer.source_ids[:8])
        rows.append((str(user), answer.kind, str(answer.run), f"{best} … ({len(answer.source_ids)})"))
    return _titled("Three look-ups", ("user", "from", "run", "sources, best first"), rows)


def _stages(manifest: Manifest) -> str:
    stages = manifest.stages.items()
    rows = [(name, f"{stage.seconds:.1f}", format_bytes(stage.peak_bytes["total"])) for name, stage in stages]
    return _titled("Stages", ("stage", "seconds", "peak memory"), rows)


def _gates(manifest: Manifest) -> str:
    gates = (("inputs", "features", INPUT_FACT), ("interactions", "features", "gate"), ("lists", "topn", "gate"))
    counts = ("passed", "failed", "skipped")
    rows = [(name, *(str(manifest.fact(stage, fact)[count]) for count in counts)) for name, stage, fact in gates]
    return _titled("Gates", ("gate", *counts), rows)


def _summary(demo: Demo, manifest: Manifest, client: StoreClient, users: int, ours: float, popular: float) -> str:
    memory = client.info("memory")
    per_user = (memory["used_memory"] - memory["used_memory_startup"]) / users
    rows = [
        ("users · sources · events", f"{demo.world.users:,} · {demo.world.sources:,} · {demo.world.events:,}"),
        ("interactions", f"{manifest.fact('features', 'rows')['interactions']:,}"),
        ("lists published", f"{manifest.fact('publish', 'counts')['produced']:,}"),
        ("Redis, all in", f"{per_user:.0f} bytes per user"),
        (f"NDCG@{_JUDGED} against the planted tastes, lists as read from Redis", f"{ours:.3f}"),
        (f"NDCG@{_JUDGED} of the popularity list", f"{popular:.3f}"),
    ]
    return _titled("Summary", ("what", "how much"), rows)
