"""Decisions of a ramp as they are kept, made by hand."""

import datetime as dt
from typing import Any

from jobs.experiments.decisions import DecisionRecord


def decision(**changes: Any) -> DecisionRecord:
    """Returns a decision to raise the share to 5 % after a week without findings."""
    fields: dict[str, Any] = {
        "product": "test",
        "experiment": "more-days",
        "week": 1,
        "as_of": dt.date(2026, 11, 23),
        "decided": dt.datetime(2026, 11, 23, 5, tzinfo=dt.UTC),
        "action": "raise",
        "share_bp": 500,
        "run_share_bp": 500,
        "reasons": ("events +0.1 %, margin -1.0 %",),
        "before_bp": 100,
        "cap_bp": 10_000,
        "held": None,
        "approved_bp": 500,
        "sums": None,
        "guardrails": (),
        "mismatch": None,
    }
    return DecisionRecord.model_validate({**fields, **changes})
