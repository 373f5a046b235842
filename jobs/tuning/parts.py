"""The two parts of a study, and the partitions that they read, from names, markers and footers alone."""

import datetime as dt
from collections.abc import Mapping

from conf.errors import ConfigError
from conf.settings import Settings
from features.cut import cut_of
from features.errors import MissingDaysError, NotArrivedError, SnapshotError
from features.reading.catalog import Catalog
from features.survey import Survey, check_survey, survey_inputs
from jobs.tuning.errors import NotEnoughHistory

VALIDATION, HOLDOUT = "validation", "holdout"
"""The days that trials are chosen by, and the days after them, on which only the winner is judged."""


def part_days(settings: Settings, as_of: dt.date) -> dict[str, dt.date]:
    """Returns part → the day as of which its features are made; the second part begins where the first ends."""
    return {VALIDATION: cut_of(as_of, settings.split.holdout_days), HOLDOUT: as_of}


def survey_parts(settings: Settings, as_of: dt.date, catalog: Catalog) -> dict[str, Survey]:
    """Returns what each part would read. Raises FeaturesError, ConfigError and, for validation, NotEnoughHistory."""
    days = part_days(settings, as_of)
    last = _checked(settings, as_of, catalog)
    try:
        before = _checked(settings, days[VALIDATION], catalog)
    except (MissingDaysError, NotArrivedError, SnapshotError, ConfigError) as error:
        raise _too_short(settings, days[VALIDATION], str(error)) from None
    if not any(entry.train_days for entry in before.events):
        raise _too_short(settings, days[VALIDATION], f"there is no day of events before {before.cut}")
    return {VALIDATION: before, HOLDOUT: last}


def fingerprints_of(survey: Survey) -> Mapping[str, Mapping[str, str]]:
    """Returns dataset → day → fingerprint of every partition that is read."""
    read = {entry.plan.name: entry.partitions for entry in survey.events}
    read |= {entry.plan.name: (*entry.train.found, *entry.plan.found) for entry in survey.snapshots}
    return {name: {str(part.day): part.fingerprint for part in parts} for name, parts in read.items()}


def _checked(settings: Settings, day: dt.date, catalog: Catalog) -> Survey:
    return check_survey(survey_inputs(settings, day, catalog), settings, catalog)


def _too_short(settings: Settings, cut: dt.date, why: str) -> NotEnoughHistory:
    return NotEnoughHistory(
        f"not enough history to tune: trials are chosen by the {settings.split.holdout_days} days before {cut}, where "
        f"the hold-out begins, with windows that end there; {why}"
    )
