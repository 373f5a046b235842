"""The announcement of a run: what its push will hold, for the loader to check."""

from expectations.report import GateReport
from jobs.run.context import Run
from jobs.stages.lists_from_factors import FALLBACK
from models.arrays.arrow import column_of
from models.lists.fallback import Fallback
from publish.wire.announcement import Announcement, Slice, encode_fallback
from publish.wire.encoding import encode_list
from publish.wire.keys import Layout


def announcement_of(run: Run, layout: Layout, slices: list[Slice], reports: list[GateReport]) -> Announcement:
    """Returns the announcement of the run's snapshot, whose partitions hold `slices`."""
    settings, request, part = run.settings, run.manifest.request, run.manifest.experiment
    assert run.manifest.epoch is not None, "a run that may publish took an epoch when it was created"
    return Announcement(
        run=run.run_id,
        epoch=run.manifest.epoch,
        product=settings.product,
        as_of=run.as_of,
        partitions=layout.partitions,
        buckets=layout.buckets,
        tags=layout.tags,
        ids=run.ids,
        list_size=settings.lists.n,
        salt=settings.rollout.salt,
        share_bp=run.share,
        slices=tuple(slices),
        fallback=encode_fallback(_fallback_payload(run)),
        first=request.first,
        scheduled=request.scheduled,
        gates_passed=all(report.passed for report in reports),
        max_change_of_users=settings.rollout.max_change_of_users,
        config_hash=request.config_hash,
        created_at=run.manifest.created_at,
        load_deadline_seconds=settings.publish.load_deadline_seconds,
        stall_seconds=settings.publish.stall_seconds,
        replicas=settings.publish.redis_replicas,
        role="treatment" if part is None else part.role,
        control=None if part is None else part.control_run,
    )


def _fallback_payload(run: Run) -> bytes:
    fallback = Fallback.of_json(run.folder.read_bound(FALLBACK), run.ids)
    scores = column_of(fallback.scores) if run.settings.publish.scores else None
    return encode_list(fallback.source_ids, scores, run.ids)
