"""Finds the shadow lists of the runs that served."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conf.ids import UserId
from conf.settings import Settings
from conf.shadow import SHADOW
from conf.share import NOBODY
from jobs.run.manifest import find_run
from jobs.stages.lists_from_factors import FALLBACK
from jobs.stages.shadow import sample_in
from jobs.storage.store import Storage
from jobs.storage.tables import Tables
from models.lists.fallback import Fallback
from models.outcomes.shadow import ShadowLists

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class FoundShadows:
    """Which of the runs have shadow lists."""

    lists: Mapping[str, ShadowLists]
    """Run → its lists; runs without any are not in it."""
    gone: tuple[str, ...]
    """Runs whose folders are deleted, so that nobody knows; none where no run is to have any."""

    def known_of(self, runs: Collection[str | None]) -> dict[str, bool | None]:
        """Returns whether each of the runs has shadow lists; None: its folder is deleted."""
        return {run: None if run in self.gone else run in self.lists for run in sorted(filter(None, runs))}


def find_shadows(
    spark: "SparkSession", home: Storage, settings: Settings, runs: Iterable[str], erased: Collection[UserId]
) -> FoundShadows:
    """Returns the shadow lists of these runs, without forgotten users. Raises ChangedSince."""
    lists, gone = dict[str, ShadowLists](), list[str]()
    for run in sorted({*runs}):
        kept = find_run(home, settings.product, run)
        if kept is None:
            gone.append(run)
            continue
        topn = kept.manifest.stages.get("topn")
        sample = None if topn is None else sample_in(topn.facts)
        if sample is None:
            continue
        table = Tables(spark, kept.folder, erased).read(SHADOW).select("user_id", "source_ids")
        fallback = Fallback.of_json(kept.folder.read_bytes(FALLBACK), settings.ids).source_ids.to_pylist()
        lists[run] = ShadowLists(sample, table, fallback[: kept.manifest.settings["lists"]["n"]])
    is_asked_for = settings.outcomes.shadow_share != NOBODY or lists
    return FoundShadows(lists, tuple(gone) if is_asked_for else ())
