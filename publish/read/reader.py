"""Look-ups for an online service; docs/reader.md states the rules for every language.

A look-up costs one HGET. The pointer is read again when it is older than `cache_seconds`, and once more when a user has
no list, since the run may have been replaced meanwhile.
"""

import time
from collections.abc import Callable, Collection, Iterable
from typing import Literal, NamedTuple

from conf.ids import ID_RULE, UserId, arm_of, is_id
from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import store_faults
from publish.errors import BadUserId, Unavailable
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


class _Cached(NamedTuple):
    pointer: ServedPointer
    read_at: float


class Reader:
    """Looks up users of one product; as safe to share between threads as its client."""

    def __init__(
        self,
        client: StoreClient,
        product: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Clock = utc_now,
        cache_seconds: float = 2.0,
    ) -> None:
        self._client, self._keys = client, ProductKeys(product)
        self._clock, self._now, self._cache_seconds = clock, now, cache_seconds
        self._cached: _Cached | None = None
        self._runs: dict[str, ServedRun] = {}

    def lookup(self, user_id: UserId, exclude: Collection[UserId] = ()) -> Answer:
        """Returns the user's answer without the sources in `exclude`: at most the run's `list_size`, best first.

        Raises BadUserId; Unavailable when nothing is published or Redis lost it; StoreUnreachable.
        """
        if isinstance(user_id, str) and not user_id.isascii() and not is_id(user_id):  # before the arm is computed
            raise BadUserId(
                f"user {user_id!r:.300}: users of {self._keys.product} have int64 or string ids of {ID_RULE}"
            )
        pointer = self._pointer()
        arm, run = _place_of(pointer, user_id)
        payload = None if run is None else self._payload(run, user_id)
        if payload is None:
            pointer, before = self._refresh(), run
            arm, run = _place_of(pointer, user_id)
            payload = None if run is None or run == before else self._payload(run, user_id)
        if run is None:
            return Answer(user_id, arm, pointer.share_bp, None, "none" if arm == "treatment" else "control")
        served = self._served(run)
        found = served.fallback_list if payload is None else decode(payload, served.ids)
        kept, excluded = _without(found, exclude) if len(exclude) else (found, 0)
        return Answer(
            user_id,
            arm,
            pointer.share_bp,
            run,
            "fallback" if payload is None else "list",
            kept.source_ids[: served.list_size],
            kept.scores[: served.list_size],
            excluded,
            (self._now() - served.created_at).total_seconds(),
        )

    def _pointer(self) -> ServedPointer:
        cached = self._cached
        if cached is None or self._clock() - cached.read_at > self._cache_seconds:
            return self._refresh()
        return cached.pointer

    def _refresh(self) -> ServedPointer:
        read_at = self._clock()  # before the reply, so that the cache is never older than `read_at`
        with store_faults():
            raw = self._client.get(self._keys.pointer)
        if raw is None:
            self._cached = None
            raise Unavailable(
                f"{self._keys.product}: nothing is published, or Redis lost it; serve your own default; "
                "`discovery runs` shows which; `discovery rebuild` restores what was lost"
            )
        pointer = ServedPointer.from_json(raw, self._keys.pointer)
        self._cached = _Cached(pointer, read_at)
        named = {pointer.treatment, pointer.control}
        self._runs = {run: served for run, served in self._runs.items() if run in named}
        return pointer

    def _served(self, run: str) -> ServedRun:
        known = self._runs.get(run)
        if known is not None:
            return known
        with store_faults():
            raw = self._client.hget(self._keys.runs, run)
        if raw is None:
            raise Unavailable(
                f"{self._keys.product}: run {run} serves but Redis does not know it, so it lost data; "
                "serve your own default; `discovery rebuild` restores it"
            )
        served = ServedRun.from_json(raw, f"{self._keys.runs} {run}")
        self._runs = self._runs | {run: served}
        return served

    def _payload(self, run: str, user_id: UserId) -> bytes | None:
        served = self._served(run)
        key = user_key(user_id, served.ids, served.product)  # raises for an id that would silently find nothing
        bucket = served.layout.bucket(run, *served.layout.place_of_key(key))
        with store_faults():
            payload = self._client.hget(bucket, key)
        return payload if payload is None or isinstance(payload, bytes) else payload.encode()


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
