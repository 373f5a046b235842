"""The pointer of a product (`{<product>}:ptr`), its only mutable key: which run serves which users.

Every change is a compare-and-swap on its revision, in one Lua call that also checks and changes the states of the runs
involved, and writes the change into the history with its reason and author; all of these keys share a slot.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import AwareDatetime, Field, ValidationError

from conf.base import Strict
from conf.share import EVERYBODY, NOBODY, Share
from publish.author import person
from publish.clock import Clock, simulated_moment, utc_now
from publish.connect.confirmed_sender import Outgoing
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import store_faults, text_of
from publish.errors import PointerMoved, PointerUnreadable, PublishError, RunRefused
from publish.runs.pointer_log import PointerLog, Unsent, message_of
from publish.runs.registry import POINTER_ROLES
from publish.runs.run import RunState, RunStatus
from publish.wire.keys import ProductKeys

_LOG = logging.getLogger(__name__)

LOST = "Redis lost what it had; nothing is served until it is rebuilt"
"""Reason of the history entry for a loss of Redis."""
_AT_ONCE = 500
_UNDER_WAY = (
    "Redis was lost and is being rebuilt; until then nobody can be promoted, held or get another share: wait for "
    "`discovery rebuild`, or start it again if it was interrupted"
)


class Hold(Strict):
    """Why no run is promoted automatically, and since when."""

    reason: str
    since: AwareDatetime


class Pointer(Strict):
    """What serves; a reader needs nothing else to choose a run."""

    rev: int = Field(default=0, ge=0)
    """Increases by one with each change; 0 is the pointer of a product that never served."""
    treatment: str | None = None
    """Run of the users within the share."""
    control: str | None = None
    """Run of all other users; None: the caller's own default."""
    salt: str = ""
    """Salt of the arm hash."""
    share_bp: Share = NOBODY
    """Share that is served the treatment: the run's own share, limited by `cap_bp`."""
    cap_bp: Share = EVERYBODY
    """The operator's limit on the share; it stays in force for later runs."""
    hold: Hold | None = None
    """If set, no run is promoted automatically."""
    previous: str | None = None
    """The run to roll back to."""
    previous_control: str | None = Field(default=None, exclude_if=lambda run: run is None)
    """The control of `previous`; left out if there is none, so that older versions can read the pointer."""
    since: AwareDatetime | None = None
    """Time of its last change, by Redis' clock."""
    serving_since: AwareDatetime | None = None
    """Time when the current treatment began to serve."""

    @property
    def named(self) -> dict[str, str]:
        """Role → run, for the roles that have one."""
        return {role: run for role in POINTER_ROLES if (run := getattr(self, role)) is not None}


@dataclass(frozen=True)
class Change:
    """A new pointer, the states that runs must have for it, and the states that they get with it, atomically."""

    pointer: Pointer
    must_be: Mapping[str, RunState] = field(default_factory=dict)
    becomes: Mapping[str, RunStatus] = field(default_factory=dict)


class PointerStore:
    """Reads and changes the pointer of one product; raises StoreUnreachable if Redis fails, and PointerUnreadable."""

    def __init__(
        self,
        client: StoreClient,
        product: str,
        *,
        log: PointerLog | None = None,
        who: str | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Creates the store; `who` (by default the user of this process) is recorded as author of its changes.

        `log` keeps pointer and history outside Redis.
        """
        self.keys = ProductKeys(product)
        self.unsent = Unsent(client, product)
        self.who = who if who is not None else person()
        self._client = client
        self._log = log
        self._clock = clock
        self._logged = 0
        self._seen = False
        self._swap = client.register_script(text_of("history", "swap"))
        self._observe = client.register_script(text_of("history", "observe"))

    @store_faults()
    def read(self) -> Pointer:
        """Returns the current pointer; revision 0 if there is none."""
        return self._read(self.keys.pointer) or Pointer()

    def change(self, decide: Callable[[Pointer], Change], *, reason: str, attempts: int = 10) -> Pointer:
        """Applies `decide` to the current pointer, again if another process was faster; `reason` goes to the history.

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
            after = change.pointer.model_copy(update={"rev": before.rev + 1, "serving_since": before.serving_since})
            if (swapped := self._try(before, after, change, reason)) is not None:
                return swapped
        raise PointerMoved(f"the pointer of {self.keys.product} changed {attempts} times meanwhile; try again")

    @store_faults()
    def restoring(self) -> Pointer | None:
        """Returns the pointer that a running rebuild will restore; None if there is no rebuild."""
        return self._read(self.keys.restoring)

    def _read(self, key: str) -> Pointer | None:
        raw = self._client.get(key)
        try:
            return None if raw is None else Pointer.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            what = ": ".join([*map(str, first["loc"]), first["msg"]])
            raise PointerUnreadable(
                f"{key} in Redis is not a pointer that this version can read ({what}): upgrade if a newer one "
                "wrote it; if it is damaged, empty this Redis and run `discovery rebuild`"
            ) from None

    def end_rebuild(self, change: Change, *, reason: str) -> Pointer | None:
        """Writes the pointer of `change` with its own revision and ends the rebuild; None if another call was faster.

        Raises RunRefused when a run is not in the state it must be in.
        """
        return self._try(Pointer(), change.pointer, change, reason, ends_rebuild=True)

    def write_down_if_new(self) -> None:
        """Sends the log the pointer and history entries that it may lack: others may have changed the pointer."""
        pointer = self.read()
        self._seen = self._seen or pointer.rev > 0
        self._complete_history()
        self._send(pointer if pointer.rev > self._logged else None)

    def _send(self, pointer: Pointer | None) -> None:
        """Sends the log a pointer and missing history entries; if the log refuses, a loader sends them later."""
        if self._log is None:
            return
        try:
            self._append(self._log, pointer)
        except PublishError as error:  # the swap is done
            what = "its last change" if pointer is None else f"revision {pointer.rev}"
            topics = f"{self.keys.pointer_topic} and {self.keys.history_topic}"
            _LOG.error("the pointer of %s: %s is not yet in %s: %s", self.keys.product, what, topics, error)

    def _append(self, log: PointerLog, pointer: Pointer | None) -> None:
        batches: dict[str, list[Outgoing]] = {}
        if pointer is not None and (pointer.named or self._knows_runs()):
            message = Outgoing(self.keys.product.encode(), pointer.model_dump_json().encode())
            batches[self.keys.pointer_topic] = [message]
        entries = self.unsent.entries(_AT_ONCE)
        while batches or entries:
            if entries:
                batches[self.keys.history_topic] = [message_of(entry) for entry in entries]
            log.append(self.keys.product, batches)
            self.unsent.remove(entries)
            batches, entries = {}, self.unsent.entries(_AT_ONCE)
        if pointer is not None:
            self._logged = pointer.rev
            newest = self.read()
            if newest.rev > pointer.rev:  # another process may have sent it already, and this one was later
                self._append(log, newest)

    @store_faults()
    def _complete_history(self) -> None:
        """Adds missing history entries: for a pointer without one, and for a loss of Redis seen by this process."""
        empty = Pointer().model_dump_json() if self._seen else ""
        keys = [self.keys.history, self.keys.unsent, self.keys.pointer, self.keys.restoring]
        self._observe(keys=keys, args=[empty, LOST, self.who, simulated_moment()])

    @store_faults()
    def _knows_runs(self) -> bool:
        """Returns whether Redis has runs; if it lost them, its pointer must not replace the one in the log."""
        return bool(self._client.exists(self.keys.runs))

    def _try(
        self, before: Pointer, after: Pointer, change: Change, reason: str, *, ends_rebuild: bool = False
    ) -> Pointer | None:
        swapped = self._swapped(before, after, change, reason, ends_rebuild=ends_rebuild)
        if swapped is not None:
            _LOG.info("%s", _describe(self.keys.product, swapped))
            self._send(swapped)
        return swapped

    @store_faults()
    def _swapped(
        self, before: Pointer, after: Pointer, change: Change, reason: str, *, ends_rebuild: bool
    ) -> Pointer | None:
        let_go = sorted(set(before.named.values()) - set(after.named.values()))
        becomes = [[run, status.model_dump_json()] for run, status in change.becomes.items()]
        serves_anew = not ends_rebuild and after.treatment != before.treatment
        keys = self.keys
        answer = self._swap(
            keys=[keys.history, keys.unsent, keys.pointer, keys.runs, keys.restoring],
            args=[
                before.rev,
                after.model_dump_json(),
                json.dumps(list(change.must_be.items())),
                json.dumps(becomes),
                json.dumps(let_go),
                self._clock().isoformat(),
                int(ends_rebuild),
                json.dumps(["since", "serving_since"] if serves_anew else ["since"]),
                reason,
                self.who,
                simulated_moment(),
            ],
        )
        word, *detail = (part.decode() for part in answer)
        if word == "STATE":
            raise RunRefused(f"run {detail[0]} is {detail[1]}, and must be {change.must_be[detail[0]]} for that")
        if word == "RESTORING":
            raise RunRefused(_UNDER_WAY)
        return Pointer.model_validate_json(detail[0]) if word == "SWAPPED" else None


def _describe(product: str, pointer: Pointer) -> str:
    """Returns a log line about a new pointer."""
    who = "nothing serves" if pointer.treatment is None else f"run {pointer.treatment} serves {pointer.share_bp}"
    held = "" if pointer.hold is None else f"; held: {pointer.hold.reason}"
    return f"{product}: {who}{held} (pointer revision {pointer.rev})"
