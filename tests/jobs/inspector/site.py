"""A small installation for the inspector: two products with two runs each, in folders and in a real Redis."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import redis
import yaml

from conf import contract
from conf.environment import Environment
from conf.ids import IdKind, UserId
from conf.settings import Settings
from expectations.report import ExpectationResult, GateReport
from jobs.inspector.installation import Product
from jobs.run.context import Run
from jobs.run.manifest import Manifest
from jobs.run.servers import RunServers
from jobs.storage.store import Storage
from models.lists.fallback import Fallback
from publish.clock import utc_now
from publish.operate.control import Control
from publish.runs.lease import Lease
from publish.runs.registry import RunRegistry
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from tests.features.world import settings
from tests.jobs.runs import FakeLease, finish, manifest_of
from tests.publish.support.pushing import PARTITIONS, load_directly
from tests.publish.support.samples import announcement_of
from tests.support.hostile import HOSTILE

BEFORE, AFTER = "20261109T030000Z-20261109-1", "20261116T030000Z-20261116-1"
DAYS = {BEFORE: dt.date(2026, 11, 9), AFTER: dt.date(2026, 11, 16)}
LISTED, USERS, FACTORS = 10, 120, 4
_ODD = (
    "../../../../etc/passwd",
    "..%2f..%2fmanifest.json",
    "a/b?c=d&e=f#g",
    "\r\nSet-Cookie: ran=1",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\\u003cscript\\u003ealert(1)",
    " leading and trailing ",
    "\x1b[31mred",
    "x" * 255,
    "'; DROP TABLE lists; --",
)
"""Names that an address, a header or a terminal would take for something else."""
PATIENCE = 60.0
"""Seconds that Redis may stand still without a test taking notice."""
FORGOTTEN = 1
"""Place of the user who is forgotten."""


@dataclass(frozen=True)
class Site:
    """One product of it."""

    product: Product
    config: Path
    users: Sequence[UserId]
    sources: Sequence[UserId]
    lists: dict[str, dict[UserId, list[UserId]]]
    """Run → user → list."""
    ineligible: UserId
    lone: UserId
    """A source without interactions."""

    @property
    def forgotten(self) -> UserId:
        """A user who is forgotten since both runs."""
        return self.users[FORGOTTEN]


def make_site(home: Path, client: redis.Redis, environment: Environment, name: str, ids: IdKind) -> Site:
    """Makes a product with two runs, of which the newer serves half of the users."""
    tree = settings().model_dump(mode="json") | {"product": name, "ids": ids, "data_root": str(home / "data")}
    tree["lists"] = {"n": LISTED, "fallback_size": 2 * LISTED}
    config = home / f"{name}.yml"
    config.write_text(yaml.safe_dump(tree))
    made = Settings.model_validate(tree)
    users, sources = _names(ids)
    product = Product(made, environment, patience=PATIENCE)
    site = Site(product, config, users, sources, {}, sources[-1], sources[-2])
    control = Control.connect(client, name)
    for seed, run_id in enumerate((BEFORE, AFTER)):
        lists = _make_run(Storage(str(home)), made, site, run_id, seed)
        site.lists[run_id] = lists
        _publish(client, site, run_id, lists)
        control.promote(run_id, reason="<b>looks good</b>")
    for run in RunRegistry(client, name).list_runs():
        RedisStore(client).mark_erased(run.announcement.layout, [str(site.forgotten).encode()])
    return site


def _names(ids: IdKind) -> tuple[list[UserId], list[UserId]]:
    if ids == "int64":
        return [*range(1_000_000, 1_000_000 + USERS)], [*range(10, 60)]
    hostile = [name for name in (*HOSTILE, *_ODD) if "\0" not in name]
    users: list[UserId] = [*hostile, *(f"user {number}" for number in range(USERS - len(hostile)))]
    return users, [*hostile]


def _make_run(home: Storage, made: Settings, site: Site, run_id: str, seed: int) -> dict[UserId, list[UserId]]:
    random, ids = np.random.default_rng(seed), made.ids
    manifest = _manifest(made, run_id)
    run = Run(made, home, cast("RunServers", None), cast("Lease", FakeLease()), manifest)
    known, order = {*site.sources} - {site.lone}, sorted(site.sources)
    sources = [source for source in order if source in known]
    users = sorted(site.users)
    source_factors = random.normal(size=(len(sources), FACTORS)).astype(np.float32)
    user_factors = random.normal(size=(len(users), FACTORS)).astype(np.float32)
    pairs = {user: {*random.choice(len(sources), 5, replace=False).tolist()} for user in users}
    _features(run, ids, site, order, sources, users, pairs)
    _train(run, ids, users, user_factors, sources, source_factors)
    lists, rows = dict[UserId, list[UserId]](), list[dict[str, Any]]()
    for place, user in enumerate(users):
        scores = source_factors @ user_factors[place]
        best = [at for at in np.argsort(-scores) if at not in pairs[user] and sources[at] != site.ineligible][:LISTED]
        lists[user] = [sources[at] for at in best]
        values = [float(scores[at]) for at in best]
        rows.append({"user_id": user, "source_ids": lists[user], "scores": values, "personal": True})
    _write(run, "lists", contract.lists(ids), rows)
    names = pa.array(sources[: 2 * LISTED], contract.sources(ids).field("source_id").type)
    fallback = Fallback(names, np.linspace(2, 1, len(names), dtype=np.float32))
    run.folder.write_bytes("fallback.json", fallback.to_json())
    run.folder.write_bytes("gate_lists.json", _gate(run_id).to_json().encode())
    finish(run, "topn", rows={"lists": len(rows), "fallback": len(names)})
    return lists


def _manifest(made: Settings, run_id: str) -> Manifest:
    first = manifest_of()
    request = first.request.model_copy(
        update={"product": made.product, "run_id": run_id, "as_of": DAYS[run_id], "share_bp": 10_000}
    )
    serving = BEFORE if run_id == AFTER else None
    return manifest_of(
        request=request,
        settings=made.model_dump(mode="json"),
        epoch=1 + (run_id == AFTER),
        serving_before=serving,
        started_by="<script>document.title='RAN'</script>",
    )


def _features(
    run: Run,
    ids: IdKind,
    site: Site,
    order: Sequence[UserId],
    sources: Sequence[UserId],
    users: Sequence[UserId],
    pairs: dict[UserId, set[int]],
) -> None:
    run.folder.begin("features")
    at = dt.datetime.combine(run.as_of - dt.timedelta(days=1), dt.time(12), dt.UTC)
    interactions = [
        {"user_id": user, "source_id": sources[place], "weight": 1.0 + place % 3, "last_ts": at}
        for user in users
        for place in sorted(pairs[user])
    ]
    counts = dict.fromkeys(order, 0)
    for row in interactions:
        counts[row["source_id"]] += 1
    _write(run, "interactions", contract.interactions(ids), interactions)
    seen = [{"user_id": row["user_id"], "source_id": row["source_id"], "reason": "seen"} for row in interactions]
    _write(run, "exclusions", contract.exclusions(ids), seen)
    described = [
        {
            "source_id": source,
            "eligible": source != site.ineligible,
            "category": str(source),
            "owner_id": None,
            "users": counts[source],
            "weight": float(counts[source]),
        }
        for source in order
    ]
    _write(run, "sources", contract.sources(ids), described)
    start = run.as_of - dt.timedelta(days=3)
    days = [{"day": str(start + dt.timedelta(days=n)), "rows": 200, "kept": 199, "fingerprint": "f"} for n in range(3)]
    read = {"name": "clicks", "start": str(start), "end": str(run.as_of), "days": days}
    finish(run, "features", inputs=[read], rows={"interactions": len(interactions)})


def _train(
    run: Run, ids: IdKind, users: Sequence[UserId], of_users: Any, sources: Sequence[UserId], of_sources: Any
) -> None:
    run.folder.begin("train")
    for name, schema, some, factors in (
        ("user_factors", contract.user_factors(ids), users, of_users),
        ("source_factors", contract.source_factors(ids), sources, of_sources),
    ):
        rows = [{schema.names[0]: one, "factors": vector} for one, vector in zip(some, factors.tolist(), strict=True)]
        _write(run, name, schema, rows)
    constants = {"confidence_per_weight": 10.0, "regularization": 1.0, "user_damping": 0.0, "source_damping": 0.0}
    training = {
        "algorithm": "als",
        "trained_on": "interactions",
        "users": len(users),
        "started": "cold",
        "constants": constants,
    }
    finish(run, "train", training=training, model={"version": "7"}, decision={"winner": "challenger", "reason": "<i>"})
    run.folder.begin("topn")


def _write(run: Run, name: str, schema: pa.Schema, rows: Sequence[dict[str, Any]]) -> None:
    run.folder.write_table(name, pa.Table.from_pylist(list(rows), schema=schema).to_batches(), schema)


def _gate(run_id: str) -> GateReport:
    held = ExpectationResult(
        name="max_empty_lists", observed="0 %", allowed="at most 1 %", passed=True, protected=False
    )
    lifted = held.model_copy(update={"name": "min_lists", "passed": False, "overridden": "<b>new app</b>"})
    return GateReport(gate="lists", passed=True, run=run_id, expectations=(held, lifted), profile=None)


def _publish(client: redis.Redis, site: Site, run_id: str, lists: dict[UserId, list[UserId]]) -> None:
    product, registry = site.product, RunRegistry(client, site.product.name)
    made = announcement_of(
        lists,
        product=product.name,
        partitions=PARTITIONS,
        epoch=registry.next_epoch(),
        run=run_id,
        ids=product.ids,
        list_size=LISTED,
        fallback=tuple(site.sources[:LISTED]),
    )
    run = Announcement.model_validate(
        made.model_dump() | {"created_at": utc_now(), "as_of": DAYS[run_id], "first": run_id == BEFORE}
    )
    registry.announce(run)
    load_directly(client, run, lists)
    registry.ready(run.run)
