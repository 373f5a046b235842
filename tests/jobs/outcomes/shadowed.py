"""A run that has shadow lists, as its folder shows it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from conf import contract
from conf.shadow import ShadowSample
from conf.share import EVERYBODY, Share
from jobs.stages.lists_from_factors import FALLBACK
from tests.jobs.runs import finish, manifest_of, run_in


def run_with_shadow_lists(
    home: Path,
    product: str,
    name: str,
    shadow: Mapping[int, Sequence[int]],
    salt: str,
    lists: Mapping[int, Sequence[int]] = {},
) -> None:
    """Makes the folder of a run that serves half of the users, and has shadow lists of all others: these, or 11, 10."""
    run, _ = run_in(home, request=manifest_of().request.model_copy(update={"product": product, "run_id": name}))
    run.begin_stage("topn")
    for table, held in (("lists", lists), ("shadow", shadow)):
        rows = [{"user_id": user, "source_ids": some, "scores": [], "personal": True} for user, some in held.items()]
        content = pa.Table.from_pylist(rows, contract.lists("int64"))
        run.folder.write_table(table, content.to_batches(), content.schema)
    run.folder.write_bytes(FALLBACK, b'{"source_ids": [11, 10], "scores": [2, 1]}')
    sample = ShadowSample(covered_bp=Share(5_000), salt=salt, share_bp=EVERYBODY)
    finish(run, "topn", shadow={"sample": sample.model_dump(mode="json"), "rows": len(shadow)})
