"""The one mutable key of a product: which run serves whom (`{<product>}:ptr`).

Every change is a compare-and-swap on its revision, in one Lua call that also checks and changes the states of the runs
it is about; all of these keys share a slot.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import AwareDatetime, Field, ValidationError

from conf.base import Strict
from conf.share import Share
from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import store_faults, text_of
from publish.errors import PointerMoved, PointerUnreadable, PublishError, RunRefused
from publish.runs.registry import POINTER_ROLES
from publish.runs.run import RunState, RunStatus
from publish.wire.keys import ProductKeys

_LOG = logging.getLogger(__name__)

_UNDER_WAY = (
    "Redis was lost and is being rebuilt; until then nobody can be promoted, held or given another share: wait for "
    "`discovery rebuild`, or start it again if it was interrupted"
)


class Hold(Strict):
    """Why no run is promoted by itself."""

    reason: str
    since: AwareDatetime


class Pointer(Strict):
    """What serves; a reader needs nothing else to choose a run."""

    rev: int = Field(default=0, ge=0)
    """Grows by one with each change; 0 is the pointer of a product that never served."""
    treatment: str | None = None
    """Run of the users within the share."""
    control: str | None = None
    """Run of all others; None: the caller's own default."""
    salt: str = ""
    """Salt of the arm hash."""
    share_bp: int = Field(default=0, ge=0, le=10_000)
    """Share that is served the treatment: the run's own, at most `cap_bp`."""
    cap_bp: int = Field(default=10_000, ge=0, le=10_000)
    """The operator's word on the share; outlives promotions."""
    hold: Hold | None = None
    """Set: no run is promoted by itself."""
    previous: str | None = None
    """Run to go back to."""
    since: AwareDatetime | None = None
    """When it last changed."""
    serving_since: AwareDatetime | None = None
    """When it first named the treatment that it names."""

    @property
    def named(self) -> dict[str, str]:
        """Role → run, for the roles that are taken."""
        return {role: run for role in POINTER_ROLES if (run := getattr(self, role)) is not None}


class PointerLog(Protocol):
    """Keeps every pointer outside Redis."""

    def append(self, product: str, topic: str, pointer: bytes) -> None:
        """Store it durably; raises PublishError."""


@dataclass(frozen=True)
class Change:
    """A new pointer, and what must be true of the runs and becomes true of them in the same moment."""

    pointer: Pointer
    must_be: Mapping[str, RunState] = field(default_factory=dict)
    becomes: Mapping[str, RunStatus] = field(default_factory=dict)


class PointerStore:
    """The pointer of one product; raises StoreUnreachable when Redis does not do its part, and PointerUnreadable."""

    def __init__(
        self, client: StoreClient, product: str, *, log: PointerLog | None = None, clock: Clock = utc_now
    ) -> None:
        self.keys = ProductKeys(product)
        self._client = client
        self._log = log
        self._clock = clock
        self._logged = 0
        self._swap = client.register_script(text_of("swap"))

    @store_faults()
    def read(self) -> Pointer:
        """The pointer now; revision 0 when there is none."""
        return self._read(self.keys.pointer) or Pointer()

    def change(self, decide: Callable[[Pointer], Change], *, attempts: int = 10) -> Pointer:
        """Apply what `decide` makes of the pointer, again when somebody else was faster.

        Raises what `decide` raises, RunRefused when a run is not in the state it must be in, and PointerMoved after
        `attempts` races.
        """
        for _ in range(attempts):
            before = self.read()
            if before.rev == 0 and self.restoring() is not None:
                raise RunRefused(_UNDER_WAY)
            change = decide(before)
            if change.pointer == before:
                return before
            now = self._clock()
            first = now if change.pointer.treatment != before.treatment else before.serving_since
            after = change.pointer.model_copy(update={"rev": before.rev + 1, "since": now, "serving_since": first})
            if self._try(before, after, change):
                return after
        raise PointerMoved(f"the pointer of {self.keys.product} changed {attempts} times meanwhile; try again")

    @store_faults()
    def restoring(self) -> Pointer | None:
        """The pointer that a rebuild under way will restore; None when there is no such rebuild."""
        return self._read(self.keys.restoring)

    def _read(self, key: str) -> Pointer | None:
        raw = self._client.get(key)
        try:
            return None if raw is None else Pointer.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            what = ": ".join([*map(str, first["loc"]), first["msg"]])
            raise PointerUnreadable(
                f"{key} in Redis is no pointer that this version can read ({what}): upgrade if a newer one wrote it; "
                "if it is damaged, empty this Redis and say `discovery rebuild`"
            ) from None

    def end_rebuild(self, change: Change) -> Pointer | None:
        """Write the pointer of `change` with its own revision, and end the rebuild; None when another one was faster.

        Raises RunRefused when a run is not in the state it must be in.
        """
        after = change.pointer.model_copy(update={"since": self._clock()})
        return after if self._try(Pointer(), after, change, ends_rebuild=True) else None

    def write_down_if_new(self) -> None:
        """Log a pointer that this process has not logged yet: somebody without a log, or without luck, changed it."""
        pointer = self.read()
        if pointer.rev > self._logged and (pointer.named or self._knows_runs()):
            self._write_down(pointer)

    def _write_down(self, pointer: Pointer) -> None:
        if self._log is None:
            return
        try:
            self._log.append(self.keys.product, self.keys.pointer_topic, pointer.model_dump_json().encode())
        except PublishError as error:  # the swap is done; a running loader writes it down later
            _LOG.error(
                "pointer revision %d serves but is not yet in %s: %s", pointer.rev, self.keys.pointer_topic, error
            )
        else:
            self._logged = pointer.rev

    @store_faults()
    def _knows_runs(self) -> bool:
        """A pointer without runs is that of a Redis that lost them: it must not take the place of the one kept."""
        return bool(self._client.exists(self.keys.runs))

    def _try(self, before: Pointer, after: Pointer, change: Change, *, ends_rebuild: bool = False) -> bool:
        swapped = self._swapped(before, after, change, ends_rebuild=ends_rebuild)
        if swapped:
            _LOG.info("%s", _tell(self.keys.product, after))
            if after.named or self._knows_runs():
                self._write_down(after)
        return swapped

    @store_faults()
    def _swapped(self, before: Pointer, after: Pointer, change: Change, *, ends_rebuild: bool) -> bool:
        let_go = sorted(set(before.named.values()) - set(after.named.values()))
        becomes = [[run, status.model_dump_json()] for run, status in change.becomes.items()]
        answer = self._swap(
            keys=[self.keys.pointer, self.keys.runs, self.keys.restoring],
            args=[
                before.rev,
                after.model_dump_json(),
                json.dumps(list(change.must_be.items())),
                json.dumps(becomes),
                json.dumps(let_go),
                self._clock().isoformat(),
                int(ends_rebuild),
            ],
        )
        word, *detail = (part.decode() for part in answer)
        if word == "STATE":
            raise RunRefused(f"run {detail[0]} is {detail[1]}, and must be {change.must_be[detail[0]]} for that")
        if word == "RESTORING":
            raise RunRefused(_UNDER_WAY)
        return bool(word == "SWAPPED")


def _tell(product: str, pointer: Pointer) -> str:
    """One line about a new pointer."""
    who = "nothing serves" if pointer.treatment is None else f"run {pointer.treatment} serves {Share(pointer.share_bp)}"
    held = "" if pointer.hold is None else f"; held: {pointer.hold.reason}"
    return f"{product}: {who}{held} (pointer revision {pointer.rev})"
