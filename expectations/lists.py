"""Gate 2: the measured numbers of the lists and the fallback list, and the list of expectations on them.

Names in `conf/gates.py` are limits, which `--override` lifts; the other expectations belong to the contract.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from conf import contract
from conf.base import Strict
from conf.contract import EXCLUSION_REASONS
from conf.gates import ListGate
from conf.ids import IdKind
from conf.share import Share
from expectations.checks import Between, Check, both, change, limit, none_of, ratio, same_columns

_CONCENTRATION_FROM = 100
"""Eligible sources from which on a source that is in nearly every list is suspicious."""


@dataclass(frozen=True)
class FallbackList:
    """The list announced for users without a list of their own: sources best first, at most a few hundred."""

    source_ids: Sequence[int | str | None]
    """Ids as in the sources; a null is not eligible."""
    scores: Sequence[float]
    """One per source, descending."""


class FallbackProfile(Strict):
    """The fallback list of one run; counts are of its entries."""

    sources: int
    """Entries."""
    ineligible: int
    """Entries whose source is not eligible or not in the sources."""
    duplicates: int
    """Entries beyond the first of their source."""
    mismatched: int
    """Difference between the numbers of scores and of sources."""
    non_finite: int
    """Scores that are NaN or infinite."""
    ascending: int
    """Finite scores above the finite one before them."""


class ListProfile(Strict):
    """The lists of one run, over all rows. Counts are exact; a source that occurs twice in a list counts once, except
    in lengths."""

    kind: Literal["lists"] = "lists"
    """Distinguishes profiles in JSON."""
    columns: tuple[str, ...]
    """Name and Arrow type of each column, in order."""
    n: int
    """Largest number of sources in a list."""
    share_bp: Share
    """Share of the audience that the run computed, in basis points."""
    lists: int
    """Rows."""
    personal: int
    """Lists from the user's own factors (`personal`); the others are the fallback list minus exclusions."""
    users: int
    """Distinct users with a list."""
    outside_share: int | None = None
    """Lists of users whom the hash of the salt does not name at this share; None in reports of before."""
    expected_users: int
    """Users who should have a personal list: with interactions, in the audience and in the share."""
    nulls: dict[str, int]
    """Column → rows in which it is null or, if an array, contains a null."""
    full: int
    """Lists with n sources."""
    too_long: int
    """Lists with more than n sources."""
    min_length: int | None
    """Sources in the shortest list."""
    mean_length: float | None
    """Mean number of sources per list."""
    with_duplicates: int
    """Lists with a source twice."""
    mismatched: int
    """Lists with more or fewer scores than sources."""
    non_finite: int
    """Lists with a NaN or infinite score."""
    ascending: int
    """Lists with a score above the one before it."""
    excluded: dict[str, int]
    """Reason of exclusion → list entries that the user's exclusions forbid for it."""
    ineligible: int
    """Entries whose source is not eligible or not in the sources."""
    eligible_sources: int
    """Sources that may be recommended."""
    listed_sources: int
    """Distinct eligible sources in the lists."""
    most_frequent: int
    """Personal lists that hold the most frequent source."""
    fallback: FallbackProfile | None = None
    """The fallback list; None in reports written before it was measured, so that every expectation fails."""


def list_checks(
    profile: ListProfile, limits: ListGate, before: ListProfile | str, ids: IdKind, quality_ratio: float | str
) -> list[Check]:
    """Returns every expectation of the lists, in the order of the report.

    before: the profile of the run that serves; quality_ratio: NDCG ÷ that of popularity; either may be a reason.
    """
    nulls = ", ".join(f"{column} {count:,}" for column, count in profile.nulls.items() if count)
    scores = (
        f"{profile.mismatched:,} of wrong length, {profile.non_finite:,} not finite, {profile.ascending:,} ascending"
    )
    return [
        same_columns(profile.columns, contract.lists(ids)),
        none_of("no_nulls", sum(profile.nulls.values()), nulls),
        none_of("one_list_per_user", profile.lists - profile.nulls.get("user_id", 0) - profile.users),
        none_of("no_longer_than_n", profile.too_long),
        none_of("no_duplicates", profile.with_duplicates),
        none_of("finite_descending_scores", profile.mismatched + profile.non_finite + profile.ascending, scores),
        *(none_of(f"no_{reason}_source", profile.excluded.get(reason)) for reason in EXCLUSION_REASONS),
        none_of("no_ineligible_source", profile.ineligible),
        none_of("no_user_outside_share", profile.outside_share, f"of {profile.share_bp}"),
        *_fallback_checks(profile.fallback),
        limit(limits, "min_length_share", _share_of_full(profile), "percent"),
        limit(limits, "min_coverage_of_users", ratio(profile.personal, profile.expected_users), "percent"),
        limit(limits, "min_coverage_of_catalogue", ratio(profile.listed_sources, profile.eligible_sources), "percent"),
        limit(limits, "max_concentration", _concentration(profile), "percent"),
        change(limits, "max_change_of_lists", both(profile, before, _at_full_share)),
        limit(limits, "min_quality_ratio", quality_ratio),
    ]


def _fallback_checks(found: FallbackProfile | None) -> list[Check]:
    if found is None:  # what was not measured fails
        return [
            Between("fallback_not_empty", None, low=1, unit="count"),
            none_of("fallback_eligible", None),
            none_of("fallback_no_duplicates", None),
            none_of("fallback_finite_descending_scores", None),
        ]
    unsound = found.mismatched + found.non_finite + found.ascending
    scores = f"{found.mismatched:,} missing or too many, {found.non_finite:,} not finite, {found.ascending:,} ascending"
    return [
        Between("fallback_not_empty", found.sources, low=1, unit="count"),
        none_of("fallback_eligible", found.ineligible),
        none_of("fallback_no_duplicates", found.duplicates),
        none_of("fallback_finite_descending_scores", unsound, scores),
    ]


def _share_of_full(profile: ListProfile) -> float | str | None:
    if profile.eligible_sources < profile.n:
        return f"{profile.eligible_sources:,} eligible sources cannot fill {profile.n}"
    return ratio(profile.full, profile.lists)


def _concentration(profile: ListProfile) -> float | str | None:
    if profile.eligible_sources < _CONCENTRATION_FROM:
        return f"{profile.eligible_sources:,} eligible sources, checked from {_CONCENTRATION_FROM}"
    return ratio(profile.most_frequent, profile.personal)


def _at_full_share(profile: ListProfile) -> dict[str, float | None]:
    lists = ratio(profile.lists * 10_000, int(profile.share_bp))
    return {"lists at full share": None if lists is None else float(round(lists))}
