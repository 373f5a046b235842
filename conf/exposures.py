"""What is kept of the answers that users got; no part of a run, so not of its hash and its manifest."""

from typing import Literal

from pydantic import Field

from conf.base import MAX_DAYS, Flag, Strict, Whole


class ExposureSettings(Strict):
    """What is kept of the answers that users got: docs/exposures.md. Nothing here changes a run or an answer."""

    enabled: Flag = False
    """Whether `discovery serve` logs its answers to `<product>.exposures.v1`."""
    queue: Whole = Field(default=10_000, ge=1, le=1_000_000)
    """Answers to users of one process that may wait for the broker; further ones are dropped and counted. At most as
    many are uncounted when the process is killed; each takes some kilobytes of memory."""
    delivery_timeout_seconds: Whole = Field(default=30, ge=1, le=3600)
    """Seconds within which the broker must acknowledge an answer; otherwise it is dropped and counted."""
    retention_hours: Whole = Field(default=24 * 7, ge=1, le=24 * MAX_DAYS)
    """Hours that the topic keeps exposures, set when it is created; afterwards alter the topic as the warning about it
    says. What was not landed by then is lost."""
    keep_days: Whole = Field(default=90, ge=1, le=MAX_DAYS)
    """Days for which landed exposures are kept; older files are deleted by the next landing."""
    purge: Literal["forgotten", "landed", "never"] = "forgotten"
    """When a landing deletes from the topic what it has landed: `forgotten`: when a user was forgotten since the last
    time; `landed`: always; `never`: it stays until the retention ends. Other consumers lose what is deleted."""
