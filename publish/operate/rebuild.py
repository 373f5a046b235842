"""Restores what served after a loss of Redis: first the registry, then the lists, the pointer last.

Loaders load as usual: with the registry back and their positions gone they start at the beginning of the topic, skip
runs that are over, and load and verify the runs that the last pointer named. Until the pointer is back, readers get
Unavailable. Every step may be interrupted and repeated, and any number of rebuilds may run at once.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from confluent_kafka import KafkaException

from conf.connections import KafkaConnection
from conf.share import NOBODY
from publish.clock import Clock, utc_now
from publish.connect.clients import broker_unreachable
from publish.connect.topic_identity import TopicInspector
from publish.connect.watermarks import watermarks
from publish.errors import BrokerUnreachable, DeadlinePassed, NotRestored, RunRefused, StoreUnreachable
from publish.operate.control import Control
from publish.operate.salvage import SalvageStore, salvage
from publish.runs.erasures import restore_erasures
from publish.runs.history import History, kept_history
from publish.runs.pointer import Change, Pointer
from publish.runs.registry import POINTER_ROLES, RunRegistry
from publish.runs.run import RegisteredRun, RegistryContent, RunState, RunStatus
from publish.runs.run_log import kept_pointer, kept_runs
from publish.runs.run_watch import RunWatch
from publish.wire.keys import Layout, ProductKeys, hash_tags

_LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_SERVING_ROLES, _PREVIOUS_ROLES = ("treatment", "control"), ("previous", "previous_control")


@dataclass(frozen=True)
class Rebuilt:
    """Result of a rebuild: the current pointer, and why the previous run was not restored, if so."""

    pointer: Pointer
    dropped: str | None


@dataclass(frozen=True)
class RebuildProgress:
    """Stored lists of the runs to restore, of how many; seconds since the start."""

    loaded: int
    total: int
    seconds: float


def rebuild(
    kafka: KafkaConnection,
    control: Control,
    *,
    deadline: float | None = None,
    progress: Callable[[RebuildProgress], None] = lambda _: None,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Rebuilt:
    """Restores runs, erasures and pointer from Kafka; continues an interrupted rebuild.

    Waits `deadline` seconds for the loaders, by default as long as the runs may take to load. Raises RunRefused when
    Redis has lost nothing; NotRestored when what served cannot be loaded again, and nothing serves then;
    DeadlinePassed; BrokerUnreachable; StoreUnreachable.
    """
    everything_read = _end_of_topic(kafka, control)
    target = start_rebuild(kafka, control, clock=clock)
    runs = [run for name in target.named.values() if (run := control.registry.find(name)) is not None]
    patience = sum(run.announcement.load_deadline_seconds for run in runs) if deadline is None else deadline
    watch, began = RunWatch(control.lifecycle, clock=clock, monotonic=monotonic), monotonic()
    while True:
        seconds = monotonic() - began
        try:
            if control.pointers.restoring() is None:
                return _judge(control, target, _pointer_of_another(control))
            read = everything_read()
            loaded = sum(part.loaded for run in runs for part in watch.advance(control.registry.get(run.name)))
            progress(RebuildProgress(loaded, sum(run.announcement.users for run in runs), seconds))
            if (ended := _end(control, target, all_read=read)) is not None:
                return ended
        except StoreUnreachable:
            if seconds > patience:
                raise
        if seconds > patience:
            raise DeadlinePassed(
                f"{control.registry.keys.product}: not every list was back within {patience:g} s; nothing serves until "
                "then; see that loaders run (`discovery load`) and run `discovery rebuild` again, it continues"
            )
        sleep(_LOOK_SECONDS)


def start_rebuild(kafka: KafkaConnection, control: Control, *, clock: Clock = utc_now) -> Pointer:
    """Restores registry and erasures; returns the pointer to restore. Raises RunRefused if nothing was lost."""
    registry, pointers = control.registry, control.pointers
    found, known = pointers.read(), registry.read_all()
    if (under_way := pointers.restoring()) is not None:
        return under_way
    _refuse_alive(registry, found, known)
    kept, runs = kept_pointer(kafka, registry.keys), kept_runs(kafka, registry.keys)
    if kept.rev == 0 and not runs:
        raise RunRefused(
            f"Kafka keeps neither a pointer nor a run of {registry.keys.product} ({registry.keys.pointer_topic}, "
            f"{registry.keys.runs_topic}): there is nothing to restore; publish a new run with --first"
        )
    layouts = {run.partitions: run.layout for run in runs}.values()
    restore_erasures(kafka, control.lifecycle.store.client, layouts)
    plan = salvage(kept, runs, found, clock(), _history_if_readable(kafka, registry.keys))
    try:
        SalvageStore(control.lifecycle.store.client, registry.keys, pointers.who, clock=clock).start(found, plan)
    except RunRefused:
        now = pointers.read()
        if not now.named or now.rev < plan.pointer.rev:
            raise  # else another rebuild, faster than this one, has come to its end meanwhile
    target = pointers.restoring()
    return target if target is not None else pointers.read()


def _history_if_readable(kafka: KafkaConnection, keys: ProductKeys) -> History:
    """Returns Kafka's history, or an empty one: it stays in Kafka, so serving does not wait for it."""
    try:
        history = kept_history(kafka, keys)
    except BrokerUnreachable as error:
        _LOG.error("the history of %s is not restored into Redis; Kafka keeps it: %s", keys.product, error)
        return History((), ())
    for gap in history.gaps:
        _LOG.warning("the history of %s has a gap: %s", keys.product, gap.what)
    return history


def _refuse_alive(registry: RunRegistry, found: Pointer, known: RegistryContent) -> None:
    product = registry.keys.product
    if found.named:
        raise RunRefused(
            f"Redis has the pointer of {product} (revision {found.rev}, {found.treatment or 'nothing'} serves): it is "
            "not lost, so there is nothing to rebuild; to serve another run use `discovery rollback` or `promote`"
        )
    if known.runs or known.unreadable:
        last = f"{known.runs[-1].name} is {known.runs[-1].state}" if known.runs else "not one can be read"
        raise RunRefused(
            f"Redis knows {len(known.runs) + len(known.unreadable)} runs of {product} ({last}): a rebuild would "
            "overwrite them; publish a new run (--first if nothing serves), or empty this Redis and rebuild"
        )


def _end(control: Control, target: Pointer, *, all_read: bool) -> Rebuilt | None:
    """Ends the rebuild and returns its result once each run to restore is READY or over; None before."""
    runs = {name: control.registry.find(name) for name in target.named.values()}
    undecided = [run for run in runs.values() if run is not None and not (_is_ready(run) or run.state.is_over)]
    if undecided and not all_read:
        return None
    for run in undecided:
        control.lifecycle.fail(run.name, "not all of its records are in the topic any more")
    if undecided:
        return None  # checked again: a loader may have been faster
    ready = {run.name: run.status for run in runs.values() if run is not None and _is_ready(run)}
    change = _last_change(target, ready)
    reason = "rebuilt, but what served could not be" if _is_lost(target, change.pointer) else "rebuilt"
    after = control.pointers.end_rebuild(change, reason=reason)
    return None if after is None else _judge(control, target, after)


def _last_change(target: Pointer, ready: dict[str, RunStatus]) -> Change:
    """Returns the change to the old pointer, without a previous run that is gone, or to one that serves nothing."""
    pointer, held = target, None
    if any(target.named[role] not in ready for role in _SERVING_ROLES if role in target.named):
        nothing = dict.fromkeys(POINTER_ROLES)
        pointer = target.model_copy(update={**nothing, "share_bp": NOBODY})
        held = "Redis was lost, and the run that served could not be restored"
    elif not ready.keys() >= {target.named[role] for role in _PREVIOUS_ROLES if role in target.named}:
        pointer = target.model_copy(update=dict.fromkeys(_PREVIOUS_ROLES))
    return Change(
        pointer,
        must_be=dict.fromkeys(ready, RunState.READY),
        becomes={name: status.model_copy(update={"restoring": False, "held": held}) for name, status in ready.items()},
    )


def _judge(control: Control, target: Pointer, after: Pointer) -> Rebuilt:
    """Returns the result of a rebuild; raises NotRestored if what served is no longer named."""
    explain = partial(_explain, control.registry)
    if _is_lost(target, after):
        lost = "; ".join(explain(target.named[role]) for role in _SERVING_ROLES if role in target.named)
        raise NotRestored(f"{lost}; nothing serves; publish a new run with --first")
    before = [target.named[role] for role in _PREVIOUS_ROLES if role in target.named]
    return Rebuilt(after, "; ".join(map(explain, before)) if before and after.previous is None else None)


def _is_lost(target: Pointer, after: Pointer) -> bool:
    """Returns whether a run served before and none does now."""
    return after.treatment is None and after.control is None and bool(target.treatment or target.control)


def _explain(registry: RunRegistry, run: str) -> str:
    found = registry.find(run)
    if found is None:
        return f"run {run} cannot be restored: {registry.keys.runs_topic} has no announcement of it that can be read"
    if found.state.is_over:
        return f"run {run} cannot be restored: {found.status.reason}"
    return f"run {run} is restored"


def _pointer_of_another(control: Control) -> Pointer:
    """Returns the pointer that a parallel rebuild restored; raises RunRefused if there is none."""
    pointer = control.pointers.read()
    if pointer.rev == 0:
        raise RunRefused(
            f"Redis lost {control.registry.keys.product} again while it was being rebuilt; see that it stays up and "
            "keeps its data, then run `discovery rebuild` again"
        )
    return pointer


def _is_ready(run: RegisteredRun) -> bool:
    return run.state is RunState.READY


def _end_of_topic(kafka: KafkaConnection, control: Control) -> Callable[[], bool]:
    """Returns a function: whether the loaders have read the topic up to its present end."""
    keys, store = control.registry.keys, control.lifecycle.store
    topic = TopicInspector(kafka, keys.topic).identify()
    layout = Layout(keys.product, topic.partitions, 1, hash_tags(keys.product, topic.partitions))
    try:
        marks = watermarks(kafka, keys.topic, range(topic.partitions))
    except KafkaException as error:
        raise broker_unreachable(kafka, error) from None

    def is_read(partition: int) -> bool:
        position = store.position(layout, partition)
        return position is not None and position.topic_id == topic.id and position.offset >= marks[partition].high

    def all_read() -> bool:
        return all(marks[partition].low >= marks[partition].high or is_read(partition) for partition in marks)

    return all_read
