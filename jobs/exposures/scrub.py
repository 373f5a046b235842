"""Deletes forgotten users from landed files: only files that hold one are written again, each as a whole."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from conf.ids import UserId
from jobs.exposures.store import UNUSABLE, LandingStore

WAIT_SECONDS = 60.0
"""How long a landing that is under way is waited for."""


def forget_answers(store: LandingStore, users: Collection[UserId], *, wait_seconds: float = WAIT_SECONDS) -> int:
    """Deletes the landed answers of users whose erasure is in Kafka; returns how many rows that were.

    Raises LandingUnderWay: the next landing would delete them, too. Raises Damaged.
    """
    if not store.at.exists(""):
        return 0
    with store.locked(wait_seconds=wait_seconds):
        return scrub(store, users)


def scrub(store: LandingStore, users: Collection[UserId]) -> int:
    """Deletes the rows of these users from every file; returns how many. May be repeated, and go on after a kill."""
    return sum(_scrub_file(store, path, users) for folder in store.folders() for path in store.files(folder))


def _scrub_file(store: LandingStore, path: str, users: Collection[UserId]) -> int:
    column = "key" if path.startswith(UNUSABLE) else "user_id"
    held = store.read_table(path, [column])[column]
    wanted = [str(user).encode() for user in users] if column == "key" else list(users)
    theirs = pc.is_in(held, pa.array(wanted, held.type))
    if not (number := held.filter(theirs).length()):
        return 0
    left = store.read_table(path).filter(pc.invert(theirs))
    if left.num_rows:
        store.write_table(path, left)
    else:
        store.at.delete(path)
    return number
