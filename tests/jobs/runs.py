"""Runs in a folder, without servers: for the tests of what a stage does with its run."""

import datetime as dt
from pathlib import Path
from typing import Any, cast

from jobs.run.context import Run
from jobs.run.manifest import Manifest, Request, StageRecord
from jobs.run.servers import RunServers
from jobs.storage.store import Storage
from publish.errors import LeaseLost
from publish.runs.lease import Lease
from tests.features.world import AS_OF, settings

RUN_ID = "20261116T030000Z-20261116-1"


class FakeLease:
    """A lease that is held until `lost`."""

    lost = False

    def check(self) -> None:
        if self.lost:
            raise LeaseLost("another run may be on its way")


def manifest_of(**changes: Any) -> Manifest:
    """The manifest of a run that has just been created."""
    request = Request(
        run_id=RUN_ID,
        product="test",
        as_of=AS_OF,
        config_hash="c0ffee",
        share_bp=2_500,
        first=False,
        publish_old=False,
        overrides={"max_weight": "new app"},
        trigger_id=None,
    )
    fields: dict[str, Any] = {
        "request": request,
        "started_by": "me@here",
        "created_at": dt.datetime(2026, 11, 16, 3, tzinfo=dt.UTC),
        "code_version": "abc",
        "libraries": {"numpy": "2"},
        "settings": settings().model_dump(mode="json"),
        "bound": True,
    }
    return Manifest(**{**fields, **changes})


def finish(run: Run, stage: str, **facts: Any) -> None:
    """Ends a stage of a run with what its folder holds by now."""
    at, made = dt.datetime(2026, 11, 16, 4, tzinfo=dt.UTC), run.folder.made()
    run.keep_stage(
        stage, StageRecord(finished_at=at, code_version="abc", seconds=1, peak_bytes={}, facts=facts, made=made)
    )


def run_in(home: Path, **changes: Any) -> tuple[Run, FakeLease]:
    """A run below `home` that has no servers, and its lease."""
    lease = FakeLease()
    servers = cast("RunServers", None)
    return Run(settings(), Storage(str(home)), servers, cast("Lease", lease), manifest_of(**changes)), lease
