"""The rules of a look-up (docs/reader.md) without any I/O, so that every reader of ours gives the same answers.

A rule is a generator: it yields what it wants of Redis, is sent the reply, and returns the answer. Who drives it does
the reading, with or without asyncio.
"""

import time
from collections.abc import Callable, Collection, Generator, Iterable
from typing import Any, Literal, NamedTuple, Protocol

from conf.ids import ID_RULE, UserId, arm_of, is_id
from conf.surface import DEFAULT_SURFACE as DEFAULT_SURFACE
from conf.surface import SURFACE_RULE, is_surface
from publish.clock import Clock, utc_now
from publish.errors import BadLookup, BadUserId, Unavailable
from publish.read.served import ServedPointer, ServedRun
from publish.wire.codec import TopList, decode
from publish.wire.keys import ProductKeys
from publish.wire.user_ids import user_key

Arm = Literal["treatment", "control"]
Kind = Literal["list", "fallback", "control", "none"]


class Answer(NamedTuple):
    """The answer for one user, and where it comes from."""

    user_id: UserId
    arm: Arm
    share_bp: int
    """Share of the audience in the treatment arm, in basis points."""
    run: str | None
    """The run that the answer is from; None if no run serves this arm."""
    kind: Kind
    """`list`: the user's own; `fallback`: the run's; `control`, `none`: no run for this arm, use your own default."""
    source_ids: tuple[UserId, ...] = ()
    """Best first; may be empty although `kind` is `list`."""
    scores: tuple[float, ...] = ()
    """One per source id, or empty if the run has no scores."""
    excluded: int = 0
    """Number of sources left out at the caller's request."""
    age_seconds: float | None = None
    """Seconds since the run was announced."""


class ExposureSink(Protocol):
    """Keeps what was answered to whom; neither blocks nor raises."""

    def log(self, answer: Answer, surface: str) -> None:
        """Keeps one answer, or counts that it could not."""


class Get(NamedTuple):
    """Wants the value of a key."""

    key: str


class HashGet(NamedTuple):
    """Wants a field of a hash."""

    key: str
    field: str | bytes


class Announced(NamedTuple):
    """Wants a field of a hash, too, but one that never changes: who waits for the same may share a reply."""

    key: str
    field: str


class NewerPointer(NamedTuple):
    """Wants a pointer by a refresh with a higher number than this; look-ups that wait at once may share one."""

    than: int


Command = Get | HashGet | Announced
Lookup = Generator[Command | NewerPointer, Any, Answer]
Refresh = Generator[Command, Any, ServedPointer]


class _Cached(NamedTuple):
    pointer: ServedPointer
    read_at: float
    number: int


class LookupRules:
    """The look-ups of one product, and what they remember: the pointer for `cache_seconds`, and the runs that it names.

    Look-ups may run side by side, in threads as well; each of them reads the pointer that it was given.
    """

    def __init__(
        self,
        product: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Clock = utc_now,
        cache_seconds: float = 2.0,
    ) -> None:
        self._keys = ProductKeys(product)
        self._clock, self._now, self._cache_seconds = clock, now, cache_seconds
        self._cached: _Cached | None = None
        self._begun = 0
        self._runs: dict[str, ServedRun] = {}

    @property
    def refreshes(self) -> int:
        """How many refreshes of the pointer were begun, which is the number of the last one."""
        return self._begun

    @property
    def pointer_age(self) -> float | None:
        """Seconds since the pointer that is used was read; None before the first, and where nothing is published."""
        return None if self._cached is None else self._clock() - self._cached.read_at

    def lookup(self, user_id: UserId, exclude: Collection[UserId] = (), n: int | None = None) -> Lookup:
        """Returns the user's answer: at most `n` and the run's `list_size`, best first, without those in `exclude`.

        Raises BadUserId; BadLookup; MalformedMessage; Unavailable when nothing is published or Redis lost it.
        """
        if isinstance(user_id, str) and not user_id.isascii() and not is_id(user_id):  # before the arm is computed
            raise BadUserId(
                f"user {user_id!r:.300}: users of {self._keys.product} have int64 or string ids of {ID_RULE}"
            )
        if n is not None and n < 1:
            raise BadLookup(f"n is {n}; ask for at least 1 source")
        pointer = yield from self._pointer()
        arm, run = _place_of(pointer, user_id)
        payload = None if run is None else (yield from self._payload(run, user_id))
        if payload is None:  # the run may have been replaced meanwhile
            before = run
            pointer = yield NewerPointer(self._begun)
            arm, run = _place_of(pointer, user_id)
            payload = None if run is None or run == before else (yield from self._payload(run, user_id))
        if run is None:
            return Answer(user_id, arm, pointer.share_bp, None, "none" if arm == "treatment" else "control")
        served = yield from self._served(run)
        found = served.fallback_list if payload is None else decode(payload, served.ids)
        kept, excluded = _without(found, exclude) if len(exclude) else (found, 0)
        size = served.list_size if n is None else min(n, served.list_size)
        return Answer(
            user_id,
            arm,
            pointer.share_bp,
            run,
            "fallback" if payload is None else "list",
            kept.source_ids[:size],
            kept.scores[:size],
            excluded,
            (self._now() - served.created_at).total_seconds(),
        )

    def refresh(self) -> Refresh:
        """Returns the pointer as Redis has it now, and remembers it; raises Unavailable and MalformedMessage."""
        self._begun += 1
        number, read_at = self._begun, self._clock()  # before the reply, so that the cache is never older than it says
        raw = yield Get(self._keys.pointer)
        if raw is None:
            self._cached = None
            raise Unavailable(
                f"{self._keys.product}: nothing is published, or Redis lost it; serve your own default; "
                "`discovery runs` shows which; `discovery rebuild` restores what was lost"
            )
        pointer = ServedPointer.from_json(raw, self._keys.pointer)
        if self._cached is None or number > self._cached.number:  # a slower refresh may end after a newer one
            self._cached = _Cached(pointer, read_at, number)
            named = {pointer.treatment, pointer.control}
            self._runs = {run: served for run, served in self._runs.items() if run in named}
        return pointer

    def _pointer(self) -> Generator[NewerPointer, Any, ServedPointer]:
        cached = self._cached
        if cached is not None and self._clock() - cached.read_at <= self._cache_seconds:
            return cached.pointer
        pointer: ServedPointer = yield NewerPointer(0 if cached is None else cached.number)
        return pointer

    def _served(self, run: str) -> Generator[Command, Any, ServedRun]:
        known = self._runs.get(run)
        if known is not None:
            return known
        raw = yield Announced(self._keys.runs, run)
        if raw is None:
            raise Unavailable(
                f"{self._keys.product}: run {run} serves but Redis does not know it, so it lost data; "
                "serve your own default; `discovery rebuild` restores it"
            )
        served = ServedRun.from_json(raw, f"{self._keys.runs} {run}")
        self._runs = self._runs | {run: served}
        return served

    def _payload(self, run: str, user_id: UserId) -> Generator[Command, Any, bytes | None]:
        served = self._runs.get(run) or (yield from self._served(run))
        key = user_key(user_id, served.ids, served.product)  # raises for an id that would silently find nothing
        payload = yield HashGet(served.layout.bucket(run, *served.layout.place_of_key(key)), key)
        return payload if payload is None or isinstance(payload, bytes) else payload.encode()


def check_surface(surface: str) -> str:
    """Returns the name of a surface; raises BadLookup unless it is one."""
    if not is_surface(surface):
        raise BadLookup(f"surface {surface!r:.100}: where the list is shown is named by {SURFACE_RULE}")
    return surface


def _place_of(pointer: ServedPointer, user_id: UserId) -> tuple[Arm, str | None]:
    """Returns the user's arm and the run that serves it."""
    if pointer.share_bp >= 10_000 or arm_of(user_id, pointer.salt) < pointer.share_bp:
        return "treatment", pointer.treatment
    return "control", pointer.control


def _without(found: TopList, exclude: Iterable[UserId]) -> tuple[TopList, int]:
    excluded = {str(source) for source in exclude}  # as text: 7 and "7" are the same source
    kept = [place for place, source in enumerate(found.source_ids) if str(source) not in excluded]
    scores = tuple(found.scores[place] for place in kept) if found.scores else ()
    return TopList(tuple(found.source_ids[place] for place in kept), scores), len(found.source_ids) - len(kept)
