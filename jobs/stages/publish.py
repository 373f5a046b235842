"""Lists → snapshot → announced in Redis → Kafka: BEGIN, lists, END. Whether it then serves, the loader decides."""

from conf import contract
from conf.base import format_bytes
from conf.errors import Refused
from conf.share import EVERYBODY
from expectations.report import GateReport
from jobs.run.context import Run
from jobs.runtime.log import timed
from jobs.stages.announce import announcement_of
from jobs.stages.gates import read_report
from jobs.stages.partitions import in_few_tasks, measure_slices, send_slices, snapshot_of
from jobs.stages.stage import Facts, stage
from jobs.stages.training.register import refuse_without_lineage
from jobs.storage.gate_reports import DRIFT_GATES, GATES
from publish.connect.topics import ensure_topics
from publish.runs.housekeeping import Housekeeping
from publish.runs.run_log import KafkaRunLog
from publish.send.producer import send_begin, send_end
from publish.send.sender import Sender
from publish.store.capacity import SAFETY, DeclaredLimits, estimate_bytes, read_limits
from publish.store.durability import require_copies
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import Layout


class NotPublishable(Refused):
    """The run must not be pushed."""


@stage("publish")
def publish_topn(run: Run) -> Facts:
    """Pushes the run's lists, and waits until the broker has acknowledged every record and every END."""
    reports = _judged(run)
    refuse_without_lineage(run)
    _refuse_over(run)
    run.servers.refuse_older(run.manifest.request)
    settings = run.settings.publish
    users = run.folder.table("lists").count_rows()  # with erased users: a resumed push must have the same layout
    layout = Layout.plan(run.settings.product, settings.partitions, users, settings.users_per_bucket)
    with timed("publish", "snapshot") as notes:
        snapshot = snapshot_of(run, layout)
        rows = run.tables.write("snapshot", snapshot, contract.snapshot(run.ids))
        notes.append(f"{rows:,} rows")
    tasks = in_few_tasks(snapshot, rows)
    announcement = announcement_of(run, layout, measure_slices(tasks, layout, run.ids), reports)
    run.folder.check_again()  # from here on, what is sent is compared with what was announced
    ensure_topics(run.servers.kafka, announcement.layout, settings, run.settings.exposures)
    # Opened early: the broker takes half a second to register a producer.
    with Sender(layout.topic, run.servers.kafka, delivery_timeout=settings.delivery_timeout_seconds) as sender:
        run.check_lease()
        _refuse_without_room_for_both(run, announcement)
        run.servers.runs.announce(announcement, run.lease.token)
        require_copies(run.servers.client, announcement)
        KafkaRunLog(run.servers.kafka).append(announcement)
        with timed("publish", "sent and acknowledged") as notes:
            send_begin(announcement, sender)
            sent = send_slices(run, tasks, announcement)
            run.check_lease()
            send_end(announcement, sent, sender)
            notes.append(f"{announcement.users:,} records, {announcement.total_bytes:,} bytes")
    snapshot.unpersist()
    produced = sum(piece.count for piece in sent)
    return {
        "counts": {"computed": rows, "produced": produced},
        "bytes": announcement.total_bytes,
        "announcement": announcement.hash,
    }


def _refuse_over(run: Run) -> None:
    """Raises NotPublishable if an earlier push of the run ended for good: sending it again would be useless."""
    known = run.servers.runs.find(run.run_id)
    if known is not None and known.state.is_over:
        why = f" ({known.status.reason})" if known.status.reason is not None else ""
        raise NotPublishable(
            f"run {run.run_id} was pushed before and is {known.state}{why}; it cannot serve any more; see that a "
            "loader runs (`discovery load`), then start a new run"
        )


def _refuse_without_room_for_both(run: Run, announcement: Announcement) -> None:
    """Raises NotPublishable if a control would fit into Redis, and the treatment that follows it would not."""
    part, servers = run.manifest.experiment, run.servers
    if part is None or part.treatment_share_bp is None or servers.runs.find(run.run_id) is not None:
        return
    limits = read_limits(servers.client, DeclaredLimits.of(run.settings.publish))
    spare = Housekeeping(servers.runs, servers.pointers, RedisStore(servers.client)).unneeded(coming=announcement.epoch)
    room = limits.room + sum(estimate_bytes(other.announcement) for other in spare)
    own = SAFETY * estimate_bytes(announcement)
    both = own * (1 + int(part.treatment_share_bp) / int(EVERYBODY))
    if both > room:
        raise NotPublishable(
            f"run {run.run_id} and its treatment, which covers {part.treatment_share_bp}, need about "
            f"{format_bytes(both)} of Redis together, and {format_bytes(max(0, room))} may be filled; give Redis more "
            "memory, shorten the lists, or lower the share"
        )


def _judged(run: Run) -> list[GateReport]:
    """Returns the report of every gate. Raises NotPublishable if one is missing, of another run, or not passed."""
    reports = []
    features = run.manifest.stages.get("features")
    by_older_code = features is not None and "drift" not in features.facts
    for gate in GATES if by_older_code else (*GATES, *DRIFT_GATES):
        report = read_report(run.folder, gate)
        if report is None:
            raise NotPublishable(f"run {run.run_id} has no report of gate {gate}; run the stages before this one first")
        if not report.passed or report.run != run.run_id:
            raise NotPublishable(f"run {run.run_id} did not pass gate {gate}; it is not published")
        reports.append(report)
    return reports
