"""Arrays of lists: the same as the table, whatever kind the ids are, in whatever order users come."""

from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pytest

from conf import contract
from conf.ids import IdKind, UserId
from jobs.inspector.grouped import Grouped, grouped, names_of
from jobs.inspector.listed import BANDS, Listed, counted
from jobs.run.context import Run
from jobs.run.servers import RunServers
from jobs.storage.store import Storage
from publish.runs.lease import Lease
from tests.features.world import settings
from tests.jobs.runs import FakeLease, manifest_of

Lists = dict[UserId, list[UserId]]


def ids(kind: IdKind, numbers: range, spread: int = 1) -> list[UserId]:
    return [number * spread for number in numbers] if kind == "int64" else [f"{number}é" * 2 for number in numbers]


def made(home: Path, kind: IdKind, spread: int) -> tuple[Run, Lists]:
    """A run of which two files hold lists, in no order of users; one list is empty."""
    random = np.random.default_rng(1)
    users, sources = ids(kind, range(40)), ids(kind, range(30), spread)
    lists: Lists = {
        user: [sources[at] for at in random.choice(30, 1 + place % 25, False)] for place, user in enumerate(users)
    }
    lists[users[7]] = []
    run = Run(settings(), Storage(str(home)), cast("RunServers", None), cast("Lease", FakeLease()), manifest_of())
    run.folder.begin("features")
    known = [
        {"source_id": one, "eligible": True, "category": None, "owner_id": None, "users": 1, "weight": 1.0}
        for one in sources
    ]
    write(run, "sources", contract.sources(kind), known)
    order = [users[at] for at in random.permutation(40)]
    rows = [{"user_id": user, "source_ids": lists[user], "scores": [], "personal": True} for user in order]
    write(run, "lists", contract.lists(kind), rows)
    pairs = [{"user_id": user, "source_id": one, "weight": 1.0, "last_ts": 0} for user in order for one in lists[user]]
    write(run, "interactions", contract.interactions(kind), pairs)
    return run, lists


def write(run: Run, name: str, schema: pa.Schema, rows: list[dict[str, object]]) -> None:
    table = pa.Table.from_pylist(rows, schema=schema)
    run.folder.write_table(name, table.to_batches(max_chunksize=9), schema)


def as_lists(found: Grouped) -> Lists:
    users = names_of(found.users, np.arange(len(found.users)))
    each = (names_of(found.ids, found.of(np.array([place]))) for place in range(len(users)))
    return dict(zip(users, each, strict=True))


@pytest.mark.parametrize(("kind", "spread"), [("int64", 1), ("int64", 10**12), ("string", 1)])
def test_arrays_hold_what_the_table_holds(tmp_path: Path, kind: IdKind, spread: int) -> None:
    run, lists = made(tmp_path, kind, spread)
    for again in (False, True):
        found = grouped(run.folder, "lists", kind, tmp_path / "cache" / "lists")
        assert as_lists(found) == lists, again
        pairs = grouped(run.folder, "interactions", kind, tmp_path / "cache" / "pairs")
        assert as_lists(pairs) == {user: some for user, some in lists.items() if some}
    assert [*(tmp_path / "cache").glob("*.part")] == []
    listed = Listed(found, counted(found))
    for source in ids(kind, range(30), spread):
        places = {user: some.index(source) + 1 for user, some in lists.items() if source in some}
        best = sorted(places.items(), key=lambda one: (one[1], str(one[0]).encode() if kind == "string" else one[0]))
        assert listed.holders(source).first(100) == best
        counts = [sum(low <= place <= (high or 10**9) for place in places.values()) for low, high in BANDS]
        assert listed.of(source) == counts
    stranger = ids(kind, range(31, 32), spread)[0]
    assert listed.holders(stranger).first(9) == []
    assert listed.of(stranger) == [0] * len(BANDS)
