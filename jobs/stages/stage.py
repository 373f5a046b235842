"""A stage: skipped when the run has finished it, timed and measured; its facts and digests go into the manifest."""

import functools
import time
from collections.abc import Callable
from typing import Any

from conf.base import format_bytes
from jobs.run.context import Run
from jobs.run.manifest import Manifest, StageRecord
from jobs.run.shuffled import shuffled_bytes
from jobs.runtime.log import log_step
from jobs.runtime.peak_memory import PeakMemory
from jobs.runtime.versions import code_version
from publish.clock import utc_now

Facts = dict[str, Any]
"""What a stage records in the manifest, as JSON values."""


def stage(
    name: str, before_record: Callable[[Run, Manifest], None] = lambda run, manifest: None
) -> Callable[[Callable[[Run], Facts]], Callable[[Run], None]]:
    """Makes `work` the stage `name` of a run; before_record is called with the manifest before it is written."""

    def decorate(work: Callable[[Run], Facts]) -> Callable[[Run], None]:
        @functools.wraps(work)
        def once(run: Run) -> None:
            if name in run.manifest.stages:
                log_step(name, "finished in an earlier attempt")
                return
            log_step(name, f"starts ({run.run_id})")
            run.begin_stage(name)
            start = time.monotonic()
            shuffled = shuffled_bytes()
            with PeakMemory() as memory:
                facts, made = work(run), run.folder.made()
            seconds = time.monotonic() - start
            run.check_lease()
            now = utc_now()
            record = StageRecord(
                finished_at=now,
                code_version=code_version(),
                seconds=round(seconds, 2),
                peak_bytes=memory.peak,
                core_seconds=memory.cores.spent,
                shuffle_bytes=_since(shuffled),
                facts=facts | run.left_out,
                made=made,
            )
            before_record(run, run.manifest.with_stage(name, record))
            run.keep_stage(name, record)
            log_step(name, f"done in {seconds:.1f} s, peak memory {format_bytes(memory.peak['total'])}")

        return once

    return decorate


def _since(before: int | None) -> int | None:
    """Returns what was shuffled since; None without a session."""
    now = shuffled_bytes()
    return None if now is None else max(0, now - (before or 0))
