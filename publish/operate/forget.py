"""Forgets a user: deletes all stored lists, and prevents that the user is read or stored again.

The order makes it safe beside a push, and repeatable after any error. First the erasure is written to Kafka, so that no
loss of Redis can undo it; then the user is marked in Redis, so that no loader can store a list meanwhile; last, every
run in the registry is searched, including those being loaded.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from conf.ids import IdKind, UserId
from publish.clock import Clock, utc_now
from publish.errors import MalformedMessage
from publish.runs.erasures import Erasure, ErasureLog, erase_from
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun
from publish.store.redis_store import RedisStore
from publish.wire.keys import Layout, hash_tags
from publish.wire.user_ids import user_key

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forgotten:
    """Result of forgetting one user."""

    erasure: Erasure
    """The erasure in Kafka; the first one, if the user was forgotten before."""
    known_before: bool
    """True if Kafka had the erasure already."""
    looked_into: tuple[str, ...]
    """Runs with lists, which were searched, oldest first."""
    removed_from: tuple[str, ...]
    """Runs that had a list of the user until now."""


class Forgetter:
    """Forgets users of one product with ids of kind `ids`, on a topic of `partitions` partitions."""

    def __init__(
        self,
        log: ErasureLog,
        registry: RunRegistry,
        store: RedisStore,
        *,
        ids: IdKind,
        partitions: int,
        clock: Clock = utc_now,
    ) -> None:
        self._log = log
        self._registry = registry
        self._store = store
        self._ids: IdKind = ids
        self._partitions = partitions
        self._clock = clock

    def forget(self, user_id: UserId, reason: str) -> Forgotten:
        """Deletes the user's list from every kept run, and keeps it out of every later one; may be repeated.

        Raises BadUserId, BrokerUnreachable, DeliveryError, StoreUnreachable; MalformedMessage also if everything was
        done except for runs whose records cannot be read.
        """
        product = self._registry.keys.product
        key = user_key(user_id, self._ids, product)
        erasure, known_before = self._write_down(Erasure(user=key.decode(), at=self._clock(), reason=reason))
        for layout in self._layouts(self._registry.list_runs()):
            self._store.mark_erased(layout, [key])
        known = self._registry.read_all()
        kept = [run for run in known.runs if run.status.cleared is None]
        removed = erase_from(self._store, kept, key)
        if known.unreadable:
            names = ", ".join(run.name for run in known.unreadable)
            raise MalformedMessage(
                f"the user is forgotten, and {len(removed)} of {len(kept)} kept runs had a list of theirs; but nobody "
                f"can look into runs whose records cannot be read: {names} (see `discovery status`)"
            )
        _LOG.info("%s: a user was forgotten; %d of %d kept runs had a list of theirs", product, len(removed), len(kept))
        return Forgotten(erasure, known_before, tuple(run.name for run in kept), removed)

    def _write_down(self, erasure: Erasure) -> tuple[Erasure, bool]:
        """Returns the erasure of the user that Kafka keeps, and whether it had one before."""
        for before in self._log.read():
            if before.user == erasure.user:
                return before, True
        self._log.append(erasure)
        return erasure, False

    def _layouts(self, runs: Iterable[RegisteredRun]) -> set[Layout]:
        """Returns where the sets of erased users are: one layout, or more if runs of other layouts are still kept."""
        product = self._registry.keys.product
        tags = {run.announcement.tags for run in runs} | {hash_tags(product, self._partitions)}
        return {Layout(product, len(some), 1, some) for some in tags}
