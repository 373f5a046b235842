"""The runs of a product (`{<product>}:runs`): what was announced, and how far each came.

States move forward only: ANNOUNCED → LOADING → READY → ROLLED_BACK → RETIRED, with FAILED from each of the first three
and nowhere to go from there. Each step is one Lua call in the slot of the pointer, so that failing or retiring a run
and naming it in the pointer exclude each other.
"""

import json
from collections.abc import Iterable
from functools import lru_cache

from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import as_bytes, store_faults, text_of
from publish.errors import RunRefused, UnknownRun
from publish.runs.run import Run, RunState, RunStatus
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys

POINTER_ROLES = ("treatment", "control", "previous")
"""What the pointer can name a run as."""


class Registry:
    """The registry of one product; every method raises StoreUnreachable when Redis does not do its part."""

    def __init__(self, client: StoreClient, product: str, *, clock: Clock = utc_now) -> None:
        self.keys = ProductKeys(product)
        self._client = client
        self._clock = clock
        self._store = RedisStore(client, clock=clock)
        self._announce = client.register_script(text_of("announce"))
        self._move = client.register_script(text_of("move"))

    @store_faults()
    def next_epoch(self) -> int:
        """A number greater than that of every run before."""
        return int(self._client.incr(self.keys.epoch))

    @store_faults()
    def knows_anything(self) -> bool:
        """Whether any run ever got an epoch here; False on a Redis that is new or lost everything."""
        return bool(self._client.exists(self.keys.epoch))

    @store_faults()
    def announce(self, announcement: Announcement, lease_token: int | None = None) -> None:
        """Write the run down before its first record; the same again is fine, anything else raises RunRefused."""
        run, now = announcement.run, self._clock()
        if announcement.product != self.keys.product:
            raise RunRefused(f"run {run} belongs to {announcement.product}, not to {self.keys.product}")
        status = RunStatus(state=RunState.ANNOUNCED, since=now)
        token = "" if lease_token is None else lease_token
        (answer,) = self._announce(
            keys=[self.keys.runs, self.keys.lease, self.keys.epoch],
            args=[run, announcement.canonical, status.model_dump_json(), announcement.epoch, token],
        )
        if refusal := _REFUSED_ANNOUNCEMENTS.get(answer.decode()):
            raise RunRefused(f"run {run}: {refusal}")

    @store_faults()
    def list_runs(self) -> tuple[Run, ...]:
        """Every run, the oldest first."""
        found = self._client.hgetall(self.keys.runs)
        fields = {as_bytes(name): as_bytes(value) for name, value in found.items()}
        names = [name for name in fields if not name.endswith(b":state")]
        runs = (_run(fields[name], fields.get(name + b":state")) for name in names)
        return tuple(sorted((run for run in runs if run is not None), key=lambda run: run.announcement.epoch))

    @store_faults()
    def find(self, run: str) -> Run | None:
        """One run, or None."""
        announcement, status = self._client.hmget(self.keys.runs, [run, self.keys.state_field(run)])
        if announcement is None or status is None:
            return None
        return _run(as_bytes(announcement), as_bytes(status))

    def get(self, run: str) -> Run:
        """One run; raises UnknownRun."""
        found = self.find(run)
        if found is None:
            raise UnknownRun(f"nobody announced a run {run} of {self.keys.product}; `discovery runs` lists them")
        return found

    def start_loading(self, run: str) -> bool:
        """ANNOUNCED → LOADING; whether this call did it."""
        return self._step(run, RunState.LOADING, after=[RunState.ANNOUNCED], go_on=True) is None

    def ready(self, run: str) -> bool:
        """LOADING → READY, noting a hold of that very moment; whether this call did it."""
        held = "a hold was set when the run became ready"
        return self._step(run, RunState.READY, after=[RunState.LOADING], held=held, go_on=True) is None

    def note_held(self, run: str, why: str) -> None:
        """Remember that a READY run waits for a person."""
        status = self.get(run).status.model_copy(update={"held": why})
        self._write(run, status, after=[RunState.READY])

    def fail(self, run: str, reason: str) -> bool:
        """End a run that the pointer does not name and fence it; whether it is FAILED now. Raises RunRefused."""
        before = [RunState.ANNOUNCED, RunState.LOADING, RunState.READY]
        refused = self._step(run, RunState.FAILED, after=before, reason=reason, never=POINTER_ROLES)
        if refused in POINTER_ROLES:
            raise RunRefused(f"run {run} is the pointer's {refused} and cannot be failed ({reason}); roll back first")
        self.fence(run)
        return self.get(run).state is RunState.FAILED

    def retire(self, run: str, reason: str) -> None:
        """READY or ROLLED_BACK → RETIRED unless the pointer names the run, and fence it; raises RunRefused."""
        if self.get(run).status.restoring:
            raise RunRefused(f"run {run} is being restored; `discovery rebuild` ends that, then it can be cleared")
        before = [RunState.READY, RunState.ROLLED_BACK]
        refused = self._step(run, RunState.RETIRED, after=before, reason=reason, never=POINTER_ROLES)
        if refused is not None and refused not in (RunState.RETIRED, RunState.FAILED):
            raise RunRefused(f"run {run} cannot be cleared: {_NOT_RETIRED.get(refused, f'it is {refused}')}")
        self.fence(run)

    def fence(self, run: str) -> None:
        """Fence the partitions of a run that is over, once more."""
        found = self.get(run)
        if found.state.is_over:
            why = found.status.reason if found.status.reason is not None else ""
            self._store.fence(found.announcement, found.state, why)

    def mark_cleared(self, run: str) -> None:
        """Note that the lists of a run that is over are deleted."""
        status = self.get(run).status.model_copy(update={"cleared": self._clock()})
        self._write(run, status, after=[status.state])

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
        """None when the run moved, else the state it has or the role that forbids it."""
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
            raise UnknownRun(f"nobody announced a run {run} of {self.keys.product}; `discovery runs` lists them")
        return None if word == "MOVED" else str(detail[0])


_REFUSED_ANNOUNCEMENTS = {
    "OTHER": "it was announced before with another content; start a new run",
    "LEASE": "its lease lapsed or was taken over; another run may be on its way",
    "EPOCH": "its epoch was never given out by this Redis; take one from it with the run",
}
_NOT_RETIRED = {
    "treatment": "it serves",
    "control": "it serves the control arm",
    "previous": "it is what a rollback would go back to",
    "ANNOUNCED": "it is on its way; wait for it, or let its deadline pass",
    "LOADING": "it is on its way; wait for it, or let its deadline pass",
}


def _run(announcement: bytes, status: bytes | None) -> Run | None:
    """A run of its two fields; None for a field that no announcement wrote."""
    if status is None:
        return None
    return Run(_announcement(announcement), RunStatus.model_validate_json(status))


@lru_cache(maxsize=128)
def _announcement(raw: bytes) -> Announcement:
    """An announcement never changes, and is read every second."""
    return Announcement.from_json(raw)
