"""The gates: measure a table and judge it with Great Expectations; a failure, an error or a timeout stops the run."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from conf.gates import GateSettings
from conf.ids import IdKind
from expectations.checks import FIRST_RUN, Between, Check, Skip
from expectations.deadline import within
from expectations.drift.checks import DriftProfile, drift_checks
from expectations.drift.replaced import without_replaced
from expectations.errors import GateFailed
from expectations.inputs import InputProfile, ServedInputs, input_checks
from expectations.interactions import InteractionProfile, interaction_checks
from expectations.lists import ListProfile, list_checks
from expectations.overrides import check_overrides, is_liftable
from expectations.report import ExpectationResult, Gate, GateReport
from expectations.suite import CheckResult, validate

P = TypeVar("P", InputProfile, InteractionProfile, ListProfile, DriftProfile)
DriftGate = Literal["input_drift", "list_drift"]


def check_inputs(
    profile: InputProfile,
    settings: GateSettings,
    before: ServedInputs | None,
    overrides: Mapping[str, str],
    *,
    as_of: dt.date,
    run: str | None = None,
    learned: Collection[str] = (),
) -> GateReport:
    """Returns gate 1's report on the inputs if it passed; raises GateFailed with the report otherwise.

    Raises OverrideRefused before judging. `before` has the inputs of the run that serves (None: the first run);
    `overrides` maps limits to the reasons to lift them; `learned` names statistics whose limits replace fixed ones.
    """

    def checks(measured: InputProfile) -> list[Check]:
        found = input_checks(measured, settings.inputs, before, as_of)
        return without_replaced(found, learned, measured.events)

    return _pass(_Case("inputs", lambda: profile, checks, settings.time_limit_seconds, overrides, run, as_of))


def check_interactions(
    measure: Callable[[], InteractionProfile],
    settings: GateSettings,
    baseline: InteractionProfile | str | None,
    overrides: Mapping[str, str],
    *,
    ids: IdKind,
    as_of: dt.date,
    run: str | None = None,
    learned: Collection[str] = (),
) -> GateReport:
    """Returns gate 1's report on the interactions if it passed; raises GateFailed with the report otherwise.

    Raises OverrideRefused before measuring. `baseline` is the profile of the run before (None: the first run), or why
    there is no comparable one; `overrides` maps limits to the reasons to lift them; `learned` as in `check_inputs`.
    """

    def checks(profile: InteractionProfile) -> list[Check]:
        found = interaction_checks(profile, settings.interactions, baseline or FIRST_RUN, ids, as_of)
        return without_replaced(found, learned, ())

    return _pass(_Case("interactions", measure, checks, settings.time_limit_seconds, overrides, run, as_of))


def check_lists(
    measure: Callable[[], ListProfile],
    settings: GateSettings,
    baseline: ListProfile | None,
    overrides: Mapping[str, str],
    *,
    ids: IdKind,
    quality_ratio: float | None,
    quality_skipped: str = "the recipe was not judged",
    as_of: dt.date | None = None,
    run: str | None = None,
    learned: Collection[str] = (),
) -> GateReport:
    """Returns gate 2's report if it passed; raises GateFailed with the report, or OverrideRefused before measuring.

    `baseline` is the profile of the run that serves now (None: the first run); `quality_ratio` is NDCG@k of the judged
    lists ÷ that of the popularity list: infinite (passes) if only the latter is 0, 0 if both are, None if nothing was
    judged, for the reason `quality_skipped`; `learned` as in `check_inputs`.
    """

    def checks(profile: ListProfile) -> list[Check]:
        quality = quality_skipped if quality_ratio is None else quality_ratio
        return without_replaced(list_checks(profile, settings.lists, baseline or FIRST_RUN, ids, quality), learned, ())

    return _pass(_Case("lists", measure, checks, settings.time_limit_seconds, overrides, run, as_of))


def check_drift(
    gate: DriftGate,
    judge: Callable[[], DriftProfile],
    settings: GateSettings,
    overrides: Mapping[str, str],
    *,
    as_of: dt.date,
    run: str | None = None,
) -> GateReport:
    """Returns a drift gate's report if no statistic stops the run; raises GateFailed with the report otherwise.

    Raises OverrideRefused before measuring. `judge` measures and says what was found of each statistic.
    """
    return _pass(_Case(gate, judge, drift_checks, settings.time_limit_seconds, overrides, run, as_of))


@dataclass(frozen=True)
class _Case(Generic[P]):
    """One gate to be run."""

    gate: Gate
    measure: Callable[[], P]
    checks: Callable[[P], list[Check]]
    seconds: int
    overrides: Mapping[str, str]
    run: str | None
    as_of: dt.date | None


def _pass(case: _Case[P]) -> GateReport:
    check_overrides(case.overrides)
    try:
        report = within(case.seconds, lambda: _judge(case))
    except (Exception, SystemExit) as error:  # a library that exits must not look like success
        raise GateFailed(_report(case, [_broken(error, case.seconds)], None)) from error
    if not report.passed:
        raise GateFailed(report)
    return report


def _judge(case: _Case[P]) -> GateReport:
    profile = case.measure()
    checks = case.checks(profile)
    found = validate([check for check in checks if not isinstance(check, Skip)])
    return _report(case, [_result(check, found, case) for check in checks], profile)


def _result(check: Check, found: Mapping[str, CheckResult], case: "_Case[P]") -> ExpectationResult:
    protected = not is_liftable(case.gate, check.name)
    if isinstance(check, Skip):
        return _skipped(check, protected=protected)
    return _judged(check, found[check.name], case.overrides.get(check.name), protected=protected)


def _skipped(check: Skip, *, protected: bool) -> ExpectationResult:
    return ExpectationResult(
        name=check.name, observed="-", allowed="-", passed=False, skipped=check.reason, protected=protected
    )


def _judged(check: Between, found: CheckResult, override: str | None, *, protected: bool) -> ExpectationResult:
    return ExpectationResult(
        name=check.name,
        observed=found.observed,
        allowed=check.allowed,
        value=found.value,
        passed=found.passed,
        overridden=None if found.passed or protected else override,
        protected=protected,
    )


def _broken(error: BaseException, seconds: int) -> ExpectationResult:
    text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    allowed = f"an answer within {seconds:,} s"
    return ExpectationResult(
        name="measured_and_judged", observed=text[:300], allowed=allowed, passed=False, protected=True
    )


def _report(case: _Case[P], results: Sequence[ExpectationResult], profile: P | None) -> GateReport:
    used = {row.name for row in results if row.overridden is not None}
    unused = {name: why for name, why in case.overrides.items() if is_liftable(case.gate, name) and name not in used}
    return GateReport(
        gate=case.gate,
        passed=all(row.status != "FAILED" for row in results),
        run=case.run,
        as_of=case.as_of,
        expectations=tuple(results),
        unused_overrides=dict(sorted(unused.items())),
        profile=profile,
    )
