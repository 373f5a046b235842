"""What becomes of each run of a product whose Redis was lost, judged by what Kafka kept; and writing that back.

What the last pointer names is to be loaded again, under the same name and epoch. All else is over: its records are
skipped by the loaders on their way through the topic, and never taken for those of a stranger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import store_faults, text_of
from publish.errors import RunRefused
from publish.runs.pointer import Pointer
from publish.runs.run import Run, RunState, RunStatus
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys


@dataclass(frozen=True)
class Salvage:
    """What a rebuild starts with."""

    pointer: Pointer
    """The pointer to restore when its runs are loaded again."""
    runs: tuple[Run, ...]


def salvage(kept: Pointer, runs: Sequence[Announcement], found: Pointer, now: datetime) -> Salvage:
    """What to restore: `kept` and `runs` are Kafka's, `found` is what an operator has said since the loss."""
    cap = min(kept.cap_bp, found.cap_bp)
    pointer = kept.model_copy(
        update={
            "rev": max(kept.rev, found.rev) + 1,
            "hold": found.hold if found.hold is not None else kept.hold,
            "cap_bp": cap,
            "share_bp": min(kept.share_bp, cap),
        }
    )
    serving = next((run.epoch for run in runs if run.run == kept.treatment), 0)
    return Salvage(pointer, tuple(Run(run, _status(run, pointer, serving, now)) for run in runs))


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

    def __init__(self, client: StoreClient, keys: ProductKeys, *, clock: Clock = utc_now) -> None:
        self._keys = keys
        self._clock = clock
        self._restore = client.register_script(text_of("restore"))

    @store_faults()
    def start(self, found: Pointer, plan: Salvage) -> None:
        """Begin the rebuild, or find it begun by another; raises RunRefused when `found` is no longer the pointer."""
        fields: list[str | bytes] = []
        for run in plan.runs:
            fields += (run.name, run.announcement.canonical)
            fields += (self._keys.state_field(run.name), run.status.model_dump_json())
        keys = self._keys
        (answer,) = self._restore(
            keys=[keys.pointer, keys.runs, keys.epoch, keys.lease_token, keys.restoring],
            args=[
                found.rev,
                plan.pointer.model_dump_json(),
                max((run.announcement.epoch for run in plan.runs), default=0),
                # Larger than every token before: nobody asks for leases a thousand times a second.
                int(self._clock().timestamp() * 1_000),
                *fields,
            ],
        )
        if answer in (b"POINTER", b"RUNS"):
            raise RunRefused(
                f"{keys.product}: somebody changed {keys.pointer} or {keys.runs} this very moment; look at "
                "`discovery status`, then try again"
            )
