"""The registry of a product's runs (`{<product>}:runs`): the announcement and state of each.

States only move forward: ANNOUNCED → LOADING → READY → ROLLED_BACK → RETIRED; FAILED may follow each of the first three
and is final. Each step is one Lua call in the pointer's slot, so a run cannot be failed or retired while the pointer
starts to name it.
"""

import json
from collections.abc import Iterable

from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import as_bytes, store_faults, text_of
from publish.errors import MalformedMessage, RunRefused, UnknownRun
from publish.runs.run import (
    RegisteredRun,
    RegistryContent,
    RunState,
    RunStatus,
    read_announcement,
    read_registry,
    read_run,
)
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys

POINTER_ROLES = ("treatment", "control", "previous", "previous_control")
"""Roles in which the pointer can name a run."""


class RunRegistry:
    """The registry of one product; every method raises StoreUnreachable if Redis fails."""

    def __init__(self, client: StoreClient, product: str, *, clock: Clock = utc_now) -> None:
        self.keys = ProductKeys(product)
        self._client = client
        self._clock = clock
        self._store = RedisStore(client, clock=clock)
        self._announce = client.register_script(text_of("announce"))
        self._move = client.register_script(text_of("move"))

    @store_faults()
    def next_epoch(self) -> int:
        """Returns a number greater than the epoch of every run before."""
        return int(self._client.incr(self.keys.epoch))

    @store_faults()
    def knows_anything(self) -> bool:
        """Returns whether any run ever got an epoch; False for a Redis that is new or lost everything."""
        return bool(self._client.exists(self.keys.epoch))

    @store_faults()
    def announce(self, announcement: Announcement, lease_token: int | None = None) -> None:
        """Writes a run before its first record; may be repeated; raises RunRefused, e.g. for another content."""
        run, now = announcement.run, self._clock()
        if announcement.product != self.keys.product:
            raise RunRefused(f"run {run} belongs to {announcement.product}, not to {self.keys.product}")
        self._refuse_taken_epoch(announcement)
        status = RunStatus(state=RunState.ANNOUNCED, since=now)
        token = "" if lease_token is None else lease_token
        (answer,) = self._announce(
            keys=[self.keys.runs, self.keys.lease, self.keys.epoch],
            args=[run, announcement.canonical, status.model_dump_json(), announcement.epoch, token],
        )
        if refusal := _REFUSED_ANNOUNCEMENTS.get(answer.decode()):
            raise RunRefused(f"run {run}: {refusal}")

    @store_faults()
    def read_all(self) -> RegistryContent:
        """Returns every run, and the records that this version cannot read."""
        found = self._client.hgetall(self.keys.runs)
        return read_registry(self.keys.product, {as_bytes(name): as_bytes(value) for name, value in found.items()})

    def list_runs(self) -> tuple[RegisteredRun, ...]:
        """Returns every run that can be read, oldest first."""
        return self.read_all().runs

    @store_faults()
    def find(self, run: str) -> RegisteredRun | None:
        """Returns one run, or None; raises MalformedMessage if this version cannot read its record."""
        announcement, status = self._client.hmget(self.keys.runs, [run, self.keys.state_field(run)])
        if announcement is None and status is None:
            return None
        raw = [None if field is None else as_bytes(field) for field in (announcement, status)]
        try:
            return read_run(self.keys.product, run, *raw)
        except MalformedMessage as fault:
            raise MalformedMessage(f"{self._where(run)} cannot be read ({fault.reason})") from None

    @store_faults()
    def find_announcement(self, run: str) -> Announcement | None:
        """Returns the announcement of a run in any state; None if it is missing or cannot be read."""
        raw = self._client.hget(self.keys.runs, run)
        try:
            return read_announcement(self.keys.product, run, None if raw is None else as_bytes(raw))
        except MalformedMessage:
            return None

    def get(self, run: str) -> RegisteredRun:
        """Returns one run; raises UnknownRun, MalformedMessage."""
        found = self.find(run)
        if found is None:
            raise UnknownRun(f"there is no run {run} of {self.keys.product}; `discovery runs` lists them")
        return found

    def start_loading(self, run: str) -> bool:
        """Moves a run from ANNOUNCED to LOADING; returns whether this call did it."""
        return self._step(run, RunState.LOADING, after=[RunState.ANNOUNCED], go_on=True) is None

    def ready(self, run: str) -> bool:
        """Moves a run from LOADING to READY, recording a hold set at that moment; returns whether this call did it."""
        held = "a hold was set when the run became ready"
        return self._step(run, RunState.READY, after=[RunState.LOADING], held=held, go_on=True) is None

    def note_held(self, run: str, why: str) -> None:
        """Records why a READY run is held until an operator acts."""
        status = self.get(run).status.model_copy(update={"held": why})
        self._write(run, status, after=[RunState.READY])

    def fail(self, run: str, reason: str) -> bool:
        """Fails and fences a run; returns whether it is FAILED now; raises RunRefused if the pointer names it."""
        before = [RunState.ANNOUNCED, RunState.LOADING, RunState.READY]
        refused = self._step(run, RunState.FAILED, after=before, reason=reason, never=POINTER_ROLES)
        if refused in POINTER_ROLES:
            raise RunRefused(f"run {run} is the pointer's {refused} and cannot be failed ({reason}); roll back first")
        self.fence(run)
        return self.get(run).state is RunState.FAILED

    def retire(self, run: str, reason: str) -> None:
        """Moves READY or ROLLED_BACK to RETIRED and fences the run; raises RunRefused, e.g. if the pointer names it."""
        if self.get(run).status.restoring:
            raise RunRefused(f"run {run} is being restored; `discovery rebuild` ends that, then it can be cleared")
        before = [RunState.READY, RunState.ROLLED_BACK]
        refused = self._step(run, RunState.RETIRED, after=before, reason=reason, never=POINTER_ROLES)
        if refused is not None and refused not in (RunState.RETIRED, RunState.FAILED):
            raise RunRefused(f"run {run} cannot be cleared: {_NOT_RETIRED.get(refused, f'it is {refused}')}")
        self.fence(run)

    def fence(self, run: str) -> None:
        """Fences the partitions of a run that is over, once more."""
        found = self.get(run)
        if found.state.is_over:
            why = found.status.reason if found.status.reason is not None else ""
            self._store.fence(found.announcement, found.state, why)

    def mark_cleared(self, run: str) -> None:
        """Records that the lists of a run that is over are deleted."""
        status = self.get(run).status.model_copy(update={"cleared": self._clock()})
        self._write(run, status, after=[status.state])

    def _refuse_taken_epoch(self, announcement: Announcement) -> None:
        """Raises RunRefused if another run has this epoch: a Redis that lost writes may issue one twice."""
        known = self.read_all()
        taken = {run.name: run.announcement.epoch for run in known.runs} | {
            run.name: run.epoch for run in known.unreadable
        }
        for run, epoch in taken.items():
            if epoch == announcement.epoch and run != announcement.run:
                raise RunRefused(f"run {announcement.run}: its epoch {epoch} is that of run {run}; start a new run")

    def _where(self, run: str) -> str:
        return f"the record of run {run} in {self.keys.runs}"

    def _step(
        self,
        run: str,
        state: RunState,
        *,
        after: Iterable[RunState],
        reason: str | None = None,
        never: Iterable[str] = (),
        held: str | None = None,
        go_on: bool = False,
    ) -> str | None:
        """Moves the run to `state`; returns None, or the state or pointer role that forbids it."""
        restoring = go_on and self.get(run).status.restoring
        status = RunStatus(state=state, since=self._clock(), reason=reason, restoring=restoring)
        return self._write(run, status, after=after, never=never, held=held)

    @store_faults()
    def _write(
        self,
        run: str,
        status: RunStatus,
        *,
        after: Iterable[RunState],
        never: Iterable[str] = (),
        held: str | None = None,
    ) -> str | None:
        on_hold = "" if held is None else status.model_copy(update={"held": held}).model_dump_json()
        answer = self._move(
            keys=[self.keys.runs, self.keys.pointer],
            args=[run, json.dumps(list(after)), status.model_dump_json(), json.dumps(list(never)), on_hold],
        )
        word, *detail = (part.decode() for part in answer)
        if word == "UNKNOWN":
            raise UnknownRun(f"there is no run {run} of {self.keys.product}; `discovery runs` lists them")
        return None if word == "MOVED" else str(detail[0])


_REFUSED_ANNOUNCEMENTS = {
    "OTHER": "it was announced before with another content; start a new run",
    "LEASE": "its lease lapsed or was taken over; another run may be on its way",
    "EPOCH": "this Redis never issued its epoch; let it issue one for the run",
}
_NOT_RETIRED = {
    "treatment": "it serves",
    "control": "it serves the control arm",
    "previous": "it is what a rollback would go back to",
    "previous_control": "it is the control of what a rollback would go back to",
    "ANNOUNCED": "it is on its way; wait for it, or let its deadline pass",
    "LOADING": "it is on its way; wait for it, or let its deadline pass",
}
