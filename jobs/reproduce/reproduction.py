"""`discovery reproduce`: a run made once more from its manifest, and compared bit by bit with what it kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as ds
from pydantic import ValidationError

from conf import contract
from conf.environment import Environment
from conf.settings import Settings
from conf.shadow import SHADOW
from jobs.reproduce.differences import (
    STAGES,
    Difference,
    code_differences,
    config_differences,
    forgotten_differences,
    input_differences,
    library_differences,
    start_differences,
    thread_differences,
)
from jobs.reproduce.rerun import NothingToReproduce, Rerun, made_again
from jobs.reproduce.table_digest import TableComparison, compare_tables
from jobs.run.manifest import Manifest, bound_folder, read_manifest, run_folder
from jobs.runtime.log import log, log_step
from jobs.stages.lists_from_factors import FALLBACK
from jobs.storage.bound_folder import MANIFEST, ChangedSince
from jobs.storage.erased import Erased
from jobs.storage.errors import StorageError
from jobs.storage.folders import check_folders
from jobs.storage.store import Storage
from jobs.storage.tables import Tables
from models.arrays.arrow import column_of
from models.lists.fallback import Fallback


@dataclass(frozen=True)
class Reproduction:
    """The differences in what the run was made of, and the comparison of its tables."""

    manifest: Manifest
    differences: tuple[Difference, ...]
    """Each once; those that certainly change the result come first."""
    tables: tuple[TableComparison, ...]
    """Empty if the run was not made again, because a difference certainly changes the result."""
    kept: str | None
    """URI of the tables that were made again, if they are kept."""

    @property
    def reproduced(self) -> bool:
        """Whether every bit of every table is the same."""
        return bool(self.tables) and all(table.same for table in self.tables)


def reproduce(environment: Environment, product: str, run_id: str, *, anyway: bool, keep: bool) -> Reproduction:
    """Makes the run again unless a difference certainly changes the result (`anyway`: in any case).

    `keep`: the new tables stay below `reproduced/` in the work folder. Raises NothingToReproduce.
    """
    home = Storage(environment.home)
    manifest, is_sound = _finished_manifest(home, product, run_id)
    settings = _settings_of(manifest)
    check_folders(home, settings)
    rerun = Rerun(settings, home, manifest, _forgotten(environment, manifest))
    _check_whole(rerun)
    changed = () if is_sound else (Difference("manifest", f"{MANIFEST} was changed since the run wrote it"),)
    different = dict.fromkeys((*_differences(rerun), *changed))  # both recipes may read the same partition
    found = tuple(sorted(different, key=lambda difference: not difference.certain))
    for difference in found:
        log_step("reproduce", f"not as it was: {difference.what}: {difference.detail}")
    if any(difference.certain for difference in found) and not anyway:
        return Reproduction(manifest, found, (), None)
    with made_again(rerun, keep=keep) as training:
        if (start := training.get("from_run")) != (before := manifest.fact("train", "training").get("from_run")):
            detail = f"from {start or 'nothing'}, and the run's training from {before or 'nothing'}"
            found = (Difference("start", detail, certain=True), *found)
        tables = tuple(_compare(rerun))
    return Reproduction(manifest, found, tables, rerun.at.uri if keep else None)


def _finished_manifest(home: Storage, product: str, run_id: str) -> tuple[Manifest, bool]:
    """Returns the manifest, and whether it is unchanged since the run wrote it. Raises NothingToReproduce."""
    folder = run_folder(home, product, run_id)
    if not folder.exists(MANIFEST):
        raise NothingToReproduce(f"run {run_id} of {product} has no manifest in {folder.uri}; is DISCOVERY_HOME right?")
    manifest, is_sound = read_manifest(folder)
    if lacks := [stage for stage in STAGES if stage not in manifest.stages]:
        raise NothingToReproduce(
            f"run {run_id} did not finish {', '.join(lacks)}, so there is nothing to compare with; resume it first"
        )
    return manifest, is_sound


def _settings_of(manifest: Manifest) -> Settings:
    try:
        return Settings.model_validate(manifest.settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise NothingToReproduce(
            f"this code cannot read the settings of run {manifest.request.run_id} "
            f"({'.'.join(map(str, first['loc']))}: {first['msg']}); use the code that made it: {manifest.code_version}"
        ) from None


def _forgotten(environment: Environment, manifest: Manifest) -> Erased:
    """Returns the users who are forgotten now; without Kafka none, if the run left out none either."""
    left_out = any(manifest.stages[stage].facts.get("erased", {}).get("users") for stage in STAGES)
    if environment.kafka is None and not left_out:
        log.warning("warning   KAFKA_BOOTSTRAP_SERVERS is not set: whether users were forgotten since is not known")
        return Erased(frozenset())
    product, ids = manifest.request.product, manifest.settings["ids"]
    return Erased.read(environment.need_kafka(), product, ids)


def _check_whole(rerun: Rerun) -> None:
    """Raises NothingToReproduce if something to compare with is missing, before hours of work."""
    kept, run = rerun.original, rerun.run_id
    if "decision" not in rerun.manifest.stages["train"].facts:
        code = rerun.manifest.code_version
        raise NothingToReproduce(f"run {run} was made before runs kept what is needed for it; check out code {code}")
    if gone := [table for table in _tables_of(rerun) if not kept.finished(table)]:
        raise NothingToReproduce(f"run {run} has no {', '.join(gone)} in {kept.uri} any more to compare with")
    if not kept.exists(FALLBACK):
        raise NothingToReproduce(f"run {run} has no {FALLBACK} in {kept.uri} any more to compare with")
    won = rerun.manifest.fact("train", "decision")["winner"]
    if won == "champion" and not rerun.manifest.request.refresh and rerun.contest.champion is None:
        raise NothingToReproduce(
            f"run {run} serves the champion's recipe, which this code cannot make: {rerun.contest.reason}"
        )


def _differences(rerun: Rerun) -> Iterator[Difference]:
    manifest, settings, kept = rerun.manifest, rerun.settings, rerun.original
    yield from config_differences(manifest, settings)
    yield from input_differences(manifest.fact("features", "inputs"), settings, manifest, rerun.home)
    if rerun.rival is not None:
        champions = manifest.fact("features", "champion_inputs")
        yield from input_differences(champions, rerun.rival, manifest, rerun.home)
    names = (rerun.training.interactions, "exclusions", "audience", "sources")
    held = [kept.table(name) for name in names if kept.finished(name)]
    yield from forgotten_differences(manifest, rerun.erased, held)
    yield from start_differences(manifest, rerun.home)
    yield from code_differences(manifest)
    yield from library_differences(manifest)
    yield from thread_differences(manifest, settings)
    yield from _changed_tables(rerun)


def _changed_tables(rerun: Rerun) -> Iterator[Difference]:
    """Yields tables of the run whose files were changed; the comparison of rows shows if that matters."""
    folder = bound_folder(rerun.home, rerun.manifest, remedy="")
    for table in _tables_of(rerun):
        try:
            folder.table(table)
        except ChangedSince:
            yield Difference("files", f"those of the run's table {table} were changed since")


def _tables_of(rerun: Rerun) -> list[str]:
    """Returns the tables of the run that are compared."""
    shadow = [] if rerun.shadow is None else [SHADOW]
    return [rerun.training.interactions, "user_factors", "source_factors", "lists", *shadow]


def _compare(rerun: Rerun) -> Iterator[TableComparison]:
    for name, table, keys in (
        ("interactions", rerun.training.interactions, ("user_id", "source_id")),
        ("user factors", "user_factors", ("user_id",)),
        ("source factors", "source_factors", ("source_id",)),
    ):
        yield compare_tables(name, rerun.original.table(table), rerun.folder.table(table), keys)
    for name, table in (("lists", "lists"), *(() if rerun.shadow is None else (("shadow lists", SHADOW),))):
        kept, made = (_sorted_lists(rerun, folder, table) for folder in (rerun.original, rerun.folder))
        yield compare_tables(name, kept, made, ("user_id",))
    kept, made = (_fallback_table(rerun, folder) for folder in (rerun.original, rerun.folder))
    yield compare_tables("fallback", kept, made, ("place",))


def _beside(rerun: Rerun, folder: Storage) -> Storage:
    """Returns the folder for a table sorted for comparison."""
    return rerun.at.child("compared/run" if folder == rerun.original else "compared/again")


def _sorted_lists(rerun: Rerun, folder: Storage, table: str) -> ds.Dataset:
    """Returns a table of lists sorted by user; as written, they have no order."""
    at = _beside(rerun, folder)
    lists = Tables(rerun.spark, folder).read(table).orderBy("user_id")
    Tables(rerun.spark, at).write(table, lists, contract.lists(rerun.ids))
    return at.table(table)


def _fallback_table(rerun: Rerun, folder: Storage) -> ds.Dataset:
    try:
        fallback = Fallback.of_json(folder.read_bytes(FALLBACK), rerun.ids)
    except (ValueError, KeyError) as error:
        raise StorageError(f"{FALLBACK} in {folder.uri} cannot be read ({error}): it was changed or damaged") from None
    place, scores = list(range(1, len(fallback) + 1)), column_of(fallback.scores)
    table = pa.table({"place": place, "source_id": fallback.source_ids, "score": scores})
    at = _beside(rerun, folder)
    at.write_table("fallback", table.to_batches(), table.schema)
    return at.table("fallback")
