"""What Redis says of a user now: the value in a run, and what a look-up answers."""

from typing import NamedTuple

import numpy as np

from conf.ids import UserId
from jobs.inspector.explanation import Row, Stored
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import as_bytes, store_faults
from publish.errors import PublishError
from publish.read.reader import Reader
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun
from publish.wire.codec import decode


class Serving(NamedTuple):
    """What a look-up answers now."""

    arm: str | None
    run: str | None
    answer: str
    source_ids: tuple[UserId, ...]


def serving_now(client: StoreClient, product: str, user: UserId) -> Serving:
    """Returns what a look-up answers, or why it cannot."""
    try:
        answer = Reader(client, product).lookup(user)
    except PublishError as error:
        return Serving(None, None, str(error), ())
    return Serving(answer.arm, answer.run, answer.kind, answer.source_ids)


def registered(client: StoreClient, product: str, run: str) -> RegisteredRun | None:
    """Returns a run as Redis knows it; None if it does not, or cannot be asked."""
    try:
        return RunRegistry(client, product).find(run)
    except PublishError:
        return None


def stored_now(client: StoreClient, run: RegisteredRun | None, user: UserId, now: Serving, held: Row | None) -> Stored:
    """Returns what Redis has; held: the list of the run, which the value is compared with."""
    row = None if run is None else _value(client, run, user)
    matches = None if row is None or held is None else _same(row, held)
    state = None if run is None else str(run.state)
    return Stored(row, state, now.arm, now.run, now.answer, now.source_ids, matches)


def _value(client: StoreClient, run: RegisteredRun, user: UserId) -> Row | None:
    said, key = run.announcement, str(user).encode()
    try:
        with store_faults():
            payload = client.hget(said.layout.bucket(said.run, *said.layout.place_of_key(key)), key)
        return None if payload is None else Row(*decode(as_bytes(payload), said.ids))
    except PublishError:
        return None


def _same(stored: Row, held: Row) -> bool:
    """Returns whether both are the same list, bit for bit; a run may publish no scores."""
    if stored.source_ids != held.source_ids:
        return False
    return not stored.scores or np.array_equal(np.array(stored.scores, np.float32), np.array(held.scores, np.float32))
