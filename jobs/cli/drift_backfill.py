"""`discovery drift backfill`: the history of the past, with a Spark session of its own."""

import datetime as dt

from conf.environment import Environment
from conf.errors import ConfigError
from expectations.drift.weeks import PAST, WEEK
from jobs.cli.options import Cli
from jobs.cli.views.view import View, table
from jobs.run.session import session_for
from jobs.runtime.log import log, log_step
from jobs.stages.drift_backfill import Filled, backfill
from jobs.storage.backfilled import Backfilled
from jobs.storage.datasets import open_catalog
from jobs.storage.drift import DriftStore
from jobs.storage.erased import Erased
from jobs.storage.folders import check_folders, folders_of
from jobs.storage.store import Storage


def fill(cli: Cli, days: int, as_of: dt.date) -> None:
    """Measures the weeks before `as_of` and shows what was found; raises ConfigError, FeaturesError."""
    if days < WEEK:
        raise ConfigError(f"--days {days}: the history is made of whole weeks; ask for at least {WEEK}")
    settings, environment = cli.settings(), Environment.read()
    home = Storage(environment.home)
    check_folders(home, settings)
    erased = Erased.read(environment.need_kafka(), settings.product, settings.ids)
    store, partials = DriftStore.of(home, settings.product), Backfilled.of(home, settings.product)
    partials.at.delete("")
    weeks: list[Filled] = []
    folders = folders_of(home, settings).values()
    with session_for(f"{settings.product} drift backfill", settings.spark, folders) as spark:
        try:
            excluded = store.decisions().excluded
            catalog = open_catalog(settings, home, lambda: spark, partials.at, erased.users, excluded)
            for week in backfill(catalog, settings, store, as_of, days):
                log_step("drift", f"as of {week.as_of}: {week.numbers:,} numbers")
                weeks.append(week)
            partials.leave(settings.datasets.events, as_of - dt.timedelta(days=WEEK + PAST))
        except BaseException:
            partials.at.delete("")
            raise
    if not any(week.numbers for week in weeks):
        log.warning("warning   there is no data of these %d days below %s", days, settings.data_root)
    cli.show(_view(weeks))


def _view(weeks: list[Filled]) -> View:
    """Returns a line per week, and what that means for the next run."""
    rows = [(str(week.as_of), f"{week.numbers:,}", f"{week.bytes:,}", week.fault or "") for week in weeks]
    made = sum(week.numbers > 0 for week in weeks)
    text = f"{made} of {len(weeks)} weeks have a history now; statistics with 8 of them are judged in the next run"
    lines = [table(rows, ("as of", "numbers", "bytes", "no interactions, because")), text]
    data = [{"as_of": week.as_of, "numbers": week.numbers, "bytes": week.bytes, "fault": week.fault} for week in weeks]
    return View("\n".join(lines), data)
