"""Judges checks with Great Expectations: a suite over one row of measured numbers. Why: `docs/extend.md`.

Importing it takes seconds: only `validate` does, when it runs, or `begin_import` before that.
"""

import importlib
import math
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from expectations.checks import Between

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation


@dataclass(frozen=True)
class CheckResult:
    """Great Expectations' result of one check."""

    passed: bool
    observed: str
    value: float | None


@cache
def begin_import() -> None:
    """Begins to import the library in a thread, beside work that waits for Spark; `validate` waits for it."""
    threading.Thread(target=_import, name="import-great-expectations").start()


def _import() -> None:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import, which reads it
    with suppress(ImportError):  # `validate` meets it again
        importlib.import_module("great_expectations")


def validate(checks: Sequence[Between]) -> dict[str, CheckResult]:
    """Returns the result of every check by name; one that raised or has no result has failed."""
    if not checks:
        return {}
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import, which reads it
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("measured").add_dataframe_asset("numbers")
    suite = context.suites.add(gx.ExpectationSuite(name="gate", expectations=[_expectation(check) for check in checks]))
    data = asset.add_batch_definition_whole_dataframe("one row")
    definition = gx.ValidationDefinition(name="gate", data=data, suite=suite)
    results = definition.run(batch_parameters={"dataframe": _frame(checks)}).results
    found = {_name(result): result for result in results}
    return {check.name: _result(check, found.get(check.name)) for check in checks}


def _expectation(check: Between) -> "Expectation":
    from great_expectations.expectations.core.expect_column_max_to_be_between import ExpectColumnMaxToBeBetween

    meta = {"name": check.name}
    # The aggregate of a missing number is None, which fails; expectations on values would ignore it as a null.
    return ExpectColumnMaxToBeBetween(column=check.name, min_value=check.low, max_value=check.high, meta=meta)


def _frame(checks: Sequence[Between]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({check.name: [math.nan if check.value is None else check.value] for check in checks})


def _name(result: "ExpectationValidationResult") -> str:
    config = result.expectation_config
    return "" if config is None or config.meta is None else str(config.meta["name"])


def _result(check: Between, result: "ExpectationValidationResult | None") -> CheckResult:
    if result is None:
        return CheckResult(passed=False, observed="no result from Great Expectations", value=None)
    if raised := _raised(result.exception_info):
        return CheckResult(passed=False, observed=f"raised: {raised}", value=None)
    observed = result.result.get("observed_value")
    value = None if observed is None else float(observed)
    finite = value if value is not None and math.isfinite(value) else None
    return CheckResult(passed=bool(result.success), observed=check.observed(value), value=finite)


def _raised(info: Mapping[str, Any] | None) -> str:
    # one mapping for the expectation, or one per metric that it asked for
    infos = [info, *info.values()] if info else []
    raised = (one for one in infos if isinstance(one, Mapping) and one.get("raised_exception"))
    return "; ".join(str(one.get("exception_message")) for one in raised)
