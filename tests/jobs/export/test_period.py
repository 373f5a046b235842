"""The longest time between two starts of a schedule."""

import pytest

from jobs.export.period import period_of

HOUR, DAY = 3_600.0, 86_400.0


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [
        ("0 3 * * MON", 7 * DAY),
        ("0 3 * * 1,4", 4 * DAY),
        ("@weekly", 7 * DAY),
        ("0 3 * * *", DAY),
        ("@Daily", DAY),
        ("15 */6 * * *", 6 * HOUR),
        ("0 8-16/4 * * mon-fri", 2 * DAY + 16 * HOUR),
        ("*/10 * * * *", 600.0),
        ("0 0 1 * *", 31 * DAY),
        ("0 0 1 jan *", 366 * DAY),
        ("0 0 31 * *", 61 * DAY),
        ("0 0 1 * MON", 7 * DAY),
        ("0 0 * * 7", 7 * DAY),
        ("0 3 * * MON#1", None),
        ("every monday", None),
        ("0 25 * * *", None),
        ("0 0 30 2 *", None),
        ("", None),
    ],
)
def test_the_longest_time_between_two_starts(schedule: str, seconds: float | None) -> None:
    assert period_of(schedule) == seconds
