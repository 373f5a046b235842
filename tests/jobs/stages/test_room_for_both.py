"""A control is not announced where its treatment would find no room."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import redis

from conf.experiment import RunPart
from conf.share import Share
from jobs.run.servers import RunServers
from jobs.stages import publish
from jobs.stages.publish import NotPublishable
from publish.runs.pointer import PointerStore
from publish.runs.registry import RunRegistry
from publish.store.capacity import MEMORY_SHARE, SAFETY, StoreLimits, estimate_bytes
from tests.jobs.experiments.test_store import OPENED
from tests.jobs.runs import run_in
from tests.publish.support.samples import announcement_of

RUN = announcement_of({user: [user + 1, user + 2] for user in range(60)}, product="test", run="a-control")
NEEDED = int(SAFETY * estimate_bytes(RUN))


@pytest.mark.parametrize(
    ("share_bp", "free", "fits"),
    [(10_000, 1.9, False), (10_000, 2.1, True), (2_500, 1.1, False), (2_500, 1.3, True), (None, 1.1, True)],
)
def test_both_are_counted(
    tmp_path: Path,
    clean_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    share_bp: int | None,
    free: float,
    fits: bool,
) -> None:
    share = None if share_bp is None else Share(share_bp)
    role = "treatment" if share is None else "control"
    part = RunPart(experiment="x", role=role, control="pinned", opened=OPENED, treatment_share_bp=share)  # type: ignore[arg-type]
    run, _ = run_in(tmp_path, experiment=part)
    servers = SimpleNamespace(
        client=clean_redis, runs=RunRegistry(clean_redis, "test"), pointers=PointerStore(clean_redis, "test")
    )
    run.servers = cast("RunServers", servers)
    limits = StoreLimits(0, int(free * NEEDED / MEMORY_SHARE), "noeviction", None)
    monkeypatch.setattr(publish, "read_limits", lambda client, declared: limits)
    if fits:
        publish._refuse_without_room_for_both(run, RUN)
    else:
        with pytest.raises(NotPublishable, match="and its treatment, which covers"):
            publish._refuse_without_room_for_both(run, RUN)
