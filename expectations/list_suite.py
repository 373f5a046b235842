"""Gate 2: names in `conf/gates.py` are limits, the other expectations belong to the contract."""

from conf import contract
from conf.contract import EXCLUSION_REASONS, IdKind
from conf.gates import ListGate
from expectations.checks import FIRST_RUN, Between, Check, Skip, at_least, change, none_of, ratio, same_columns
from expectations.profiles import FallbackProfile, ListProfile

_CONCENTRATION_FROM = 100
"""Eligible sources from which on a source that is in nearly every list is suspicious."""


def list_checks(
    profile: ListProfile,
    limits: ListGate,
    baseline: ListProfile | None,
    ids: IdKind,
    quality_ratio: float | None,
    quality_skipped: str,
) -> list[Check]:
    """Returns every expectation of gate 2, in the order of the report.

    `quality_skipped` is the reason if `quality_ratio` is None.
    """
    quality: Check = Skip("min_quality_ratio", quality_skipped)
    if quality_ratio is not None:
        quality = at_least("min_quality_ratio", quality_ratio, limits.min_quality_ratio, "number")
    return [
        *_contract(profile, ids),
        *_forbidden(profile),
        *_fallback(profile.fallback),
        _full(profile, limits),
        *_coverage(profile, limits),
        _concentration(profile, limits),
        _growth(profile, limits, baseline),
        quality,
    ]


def _contract(profile: ListProfile, ids: IdKind) -> list[Check]:
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
    ]


def _forbidden(profile: ListProfile) -> list[Check]:
    # a reason that was not measured is None and fails
    excluded: list[Check] = [
        Between(f"no_{reason}_source", profile.excluded.get(reason), high=0, unit="count")
        for reason in EXCLUSION_REASONS
    ]
    return [*excluded, none_of("no_ineligible_source", profile.ineligible)]


def _fallback(found: FallbackProfile | None) -> list[Check]:
    counts: tuple[int | None, ...] = (None,) * 4  # what was not measured fails
    scores = ""
    if found is not None:
        unsound = found.mismatched + found.non_finite + found.ascending
        counts = (found.sources, found.ineligible, found.duplicates, unsound)
        scores = (
            f"{found.mismatched:,} missing or too many, {found.non_finite:,} not finite, {found.ascending:,} ascending"
        )
    return [
        at_least("fallback_not_empty", counts[0], 1, "count"),
        Between("fallback_eligible", counts[1], high=0, unit="count"),
        Between("fallback_no_duplicates", counts[2], high=0, unit="count"),
        Between("fallback_finite_descending_scores", counts[3], high=0, unit="count", detail=scores),
    ]


def _full(profile: ListProfile, limits: ListGate) -> Check:
    if profile.eligible_sources < profile.n:
        return Skip("min_length_share", f"{profile.eligible_sources:,} eligible sources cannot fill {profile.n}")
    return at_least("min_length_share", ratio(profile.full, profile.lists), limits.min_length_share, "percent")


def _coverage(profile: ListProfile, limits: ListGate) -> list[Check]:
    users = ratio(profile.personal, profile.expected_users)
    sources = ratio(profile.listed_sources, profile.eligible_sources)
    return [
        at_least("min_coverage_of_users", users, limits.min_coverage_of_users, "percent"),
        at_least("min_coverage_of_catalogue", sources, limits.min_coverage_of_catalogue, "percent"),
    ]


def _concentration(profile: ListProfile, limits: ListGate) -> Check:
    if profile.eligible_sources < _CONCENTRATION_FROM:
        return Skip(
            "max_concentration", f"{profile.eligible_sources:,} eligible sources, checked from {_CONCENTRATION_FROM}"
        )
    share = ratio(profile.most_frequent, profile.personal)
    return Between("max_concentration", share, high=limits.max_concentration, unit="percent")


def _growth(now: ListProfile, limits: ListGate, before: ListProfile | None) -> Check:
    if before is None:
        return Skip("max_change_of_lists", FIRST_RUN)
    pair = (_of_everybody(now), _of_everybody(before))
    return change("max_change_of_lists", limits.max_change_of_lists, {"lists at full share": pair})


def _of_everybody(profile: ListProfile) -> float | None:
    lists = ratio(profile.lists * 10_000, profile.share_bp)
    return None if lists is None else float(round(lists))
