"""Lists of runs as answers, for a product that keeps neither exposures nor impressions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

from conf.ids import UserId
from conf.windows import Window, midnight
from features.tables import union_of
from jobs.outcomes.plan import Listing
from jobs.run.manifest import find_run, run_folder
from jobs.storage.store import Storage
from jobs.storage.tables import Tables
from models.outcomes.basis import Basis
from models.outcomes.listed import lists_given, moments_of, shadows_given, taking_over
from models.outcomes.rows import Served
from models.outcomes.shadow import ShadowLists, world_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LISTS = "lists"


def listings_of(home: Storage, product: str, served: Sequence[Served]) -> list[Listing]:
    """Returns which run the treatment got when, and whether its lists are still there."""
    found = []
    for one in served:
        if one.treatment is not None and one.share_bp:
            is_kept = run_folder(home, product, one.treatment).finished(_LISTS)
            found.append(Listing(one.since, one.until, one.treatment, f"{one.salt} {one.share_bp}", is_kept))
    return found


@dataclass(frozen=True, eq=False)
class Listed:
    """Lists that count as given."""

    answers: Mapping[str, DataFrame]
    """By basis: in the treatment, and those with shadow lists in a world of their own."""
    rows: int
    """About how many there are."""


def listed_answers(
    spark: "SparkSession",
    home: Storage,
    product: str,
    served: Sequence[Served],
    window: Window,
    shadows: Mapping[str, ShadowLists],
    erased: Collection[UserId],
) -> Listed:
    """Returns lists of the runs that served in the window as answers. Raises ChangedSince."""
    start, end = midnight(window.start), midnight(window.end)
    given, beside, rows = list[DataFrame](), list[DataFrame](), 0
    for run in sorted({one.treatment for one in served if one.treatment is not None}):
        moments, kept = moments_of(run, served, start, end), find_run(home, product, run)
        if not moments or kept is None:
            continue
        lists = Tables(spark, kept.folder, erased).read(_LISTS)
        given.append(lists_given(lists, run, moments))
        rows += len(moments) * int(kept.folder.table(_LISTS).count_rows())
        if run in shadows:
            beside.append(shadows_given(shadows[run].lists, run, moments))
    if not given:
        return Listed({}, 0)
    answers: dict[str, DataFrame] = {str(Basis.LISTED): union_of(given)}
    if beside:
        samples = sorted({shadow.sample for shadow in shadows.values()}, key=str)
        answers[world_of(Basis.LISTED)] = union_of([*beside, *(taking_over(one, samples) for one in given)])
    return Listed(answers, rows)
