"""Forgotten users: each stage reads them from Kafka once and leaves them out of everything that it reads."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.connections import KafkaConnection
from conf.digest import sha256_of
from conf.ids import IdKind, UserId
from publish.runs.erasures import ErasureLog, erased_ids

if TYPE_CHECKING:
    import pyarrow.dataset as ds


@dataclass(frozen=True)
class Erased:
    """The users whose rows are left out, as of one moment."""

    users: frozenset[UserId]

    @classmethod
    def read(cls, kafka: KafkaConnection, product: str, ids: IdKind) -> "Erased":
        """Reads the users who are forgotten now. Raises BrokerUnreachable, MalformedMessage."""
        return cls(erased_ids(ErasureLog(kafka, product).read(), ids, product))

    @property
    def fact(self) -> dict[str, Any]:
        """The fact for the manifest: their number, and the SHA-256 of their sorted ids, one per line; never the ids."""
        lines = "\n".join(sorted(map(str, self.users)))
        return {"users": len(self.users), "sha256": sha256_of(lines)}


def without_rows_of(users: Collection[UserId], table: "ds.Dataset", copy: Path) -> "ds.Dataset":
    """Returns the table or, if it holds rows of these users, a local copy without them."""
    if not users:
        return table
    import pyarrow.dataset as ds  # here: it imports pandas, which takes a second

    theirs = ds.field("user_id").isin(pa.array(sorted(users, key=str), table.schema.field("user_id").type))
    if not table.count_rows(filter=theirs):
        return table
    with pq.ParquetWriter(copy, table.schema) as writer:
        for fragment in sorted(table.get_fragments(), key=lambda fragment: str(fragment.path)):  # keeps its order
            for batch in fragment.to_batches(filter=~theirs):
                writer.write_batch(batch)
    return ds.dataset(copy, format="parquet")
