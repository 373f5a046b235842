"""Records for the store, one at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from publish.store.batches import Batch


class Record(NamedTuple):
    """One list on its way into a bucket."""

    seq: int
    bucket: int
    user: bytes
    payload: bytes


def batch_of(records: Sequence[Record]) -> Batch:
    """These records as the columns of one batch."""
    seqs, buckets = [record.seq for record in records], [record.bucket for record in records]
    users, payloads = [record.user for record in records], [record.payload for record in records]
    return Batch(np.array(seqs, np.int64), np.array(buckets, np.int64), users, payloads)
