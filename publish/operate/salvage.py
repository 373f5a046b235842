"""Decides from Kafka's copies what becomes of each run after a loss of Redis, and writes that back.

Runs that the last pointer names are to be loaded again, under the same name and epoch. All others are over: loaders
skip their records in the topic instead of dead-lettering them as unknown.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import store_faults, text_of
from publish.errors import RunRefused
from publish.runs.history import BEGINS, KEPT_IN_REDIS, History, HistoryEntry
from publish.runs.pointer import LOST, Pointer
from publish.runs.run import RegisteredRun, RunState, RunStatus
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys


@dataclass(frozen=True)
class Salvage:
    """The state that a rebuild starts with."""

    pointer: Pointer
    """The pointer to restore once its runs are loaded again."""
    runs: tuple[RegisteredRun, ...]
    history: tuple[HistoryEntry, ...]
    """Entries that Kafka has."""
    missing: tuple[HistoryEntry, ...]
    """Entries that Kafka lacks."""

    @property
    def had_served(self) -> bool:
        """Whether a pointer was lost, so that the history must record that nothing is served."""
        return bool(self.history or self.missing)


def salvage(kept: Pointer, runs: Sequence[Announcement], found: Pointer, now: datetime, history: History) -> Salvage:
    """Returns what to restore from Kafka's `kept`, `runs` and `history`.

    `found` is the pointer in Redis now: an operator's orders since the loss.
    """
    missing = _missing(kept, history, now)
    # A process may have died after it wrote the pointer to the history, before it wrote it to the pointer topic.
    kept = max([kept, *(entry.pointer for entry in history.entries if entry.pointer.named)], key=_changed)
    cap = min(kept.cap_bp, found.cap_bp)
    pointer = kept.model_copy(
        update={
            "rev": max(kept.rev, found.rev, history.highest) + 1,
            "hold": found.hold if found.hold is not None else kept.hold,
            "cap_bp": cap,
            "share_bp": min(kept.share_bp, cap),
        }
    )
    serving = next((run.epoch for run in runs if run.run == kept.treatment), 0)
    restored = tuple(RegisteredRun(run, _status(run, pointer, serving, now)) for run in runs)
    return Salvage(pointer, restored, history.entries, missing)


def _changed(pointer: Pointer) -> datetime:
    """Returns when the pointer was made; the earliest possible time if unknown."""
    return pointer.since if pointer.since is not None else datetime.min.replace(tzinfo=UTC)


def _missing(kept: Pointer, history: History, now: datetime) -> tuple[HistoryEntry, ...]:
    """Returns an entry for the last pointer if the history lacks it: lost with Redis, or never written."""
    if kept.rev == 0 or history.knows(kept):
        return ()
    reason = "its reason was lost with Redis" if history.entries else BEGINS
    since = kept.since if kept.since is not None else now
    return (HistoryEntry(pointer=kept.model_copy(update={"since": since}), reason=reason, who=None),)


def _status(run: Announcement, pointer: Pointer, serving_epoch: int, now: datetime) -> RunStatus:
    if run.run in pointer.named.values():
        return RunStatus(state=RunState.ANNOUNCED, since=now, restoring=True)
    if run.epoch > serving_epoch:
        why = "Redis was lost before it served, or after it was rolled back; start a new run"
        return RunStatus(state=RunState.FAILED, since=now, reason=why, cleared=now)
    why = "another run had replaced it when Redis was lost"
    return RunStatus(state=RunState.RETIRED, since=now, reason=why, cleared=now)


class SalvageStore:
    """Writes a salvage into an empty registry, in one atomic call; raises StoreUnreachable."""

    def __init__(self, client: StoreClient, keys: ProductKeys, who: str, *, clock: Clock = utc_now) -> None:
        self._keys = keys
        self._who = who
        self._clock = clock
        self._restore = client.register_script(text_of("history", "restore"))

    @store_faults()
    def start(self, found: Pointer, plan: Salvage) -> None:
        """Starts the rebuild, unless another has; raises RunRefused if `found` is no longer the pointer."""
        fields: list[str | bytes] = []
        for run in plan.runs:
            fields += (run.name, run.announcement.canonical)
            fields += (self._keys.state_field(run.name), run.status.model_dump_json())
        keys = self._keys
        (answer,) = self._restore(
            keys=[
                keys.history,
                keys.unsent,
                keys.pointer,
                keys.runs,
                keys.epoch,
                keys.lease_token,
                keys.restoring,
            ],
            args=[
                found.rev,
                plan.pointer.model_dump_json(),
                max((run.announcement.epoch for run in plan.runs), default=0),
                # Larger than every token before: there are fewer than a thousand leases a second.
                int(self._clock().timestamp() * 1_000),
                Pointer().model_dump_json() if plan.had_served else "",
                LOST,
                self._who,
                _texts(plan.history[-KEPT_IN_REDIS:]),
                _texts(plan.missing),
                *fields,
            ],
        )
        if answer in (b"POINTER", b"RUNS"):
            raise RunRefused(
                f"{keys.product}: somebody changed {keys.pointer} or {keys.runs} this very moment; look at "
                "`discovery status`, then try again"
            )


def _texts(entries: Sequence[HistoryEntry]) -> str:
    return json.dumps([entry.model_dump_json() for entry in entries])
