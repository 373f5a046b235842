"""`discovery outcomes`: what users did with their lists."""

import datetime as dt
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from conf.environment import Environment
from conf.errors import Refused
from jobs.cli.options import Cli, product_command
from jobs.cli.page_file import write_page
from jobs.cli.views import outcomes as view
from jobs.outcomes.store import OutcomeStore
from jobs.storage.store import Storage


class NotMeasured(Refused):
    """No day of those asked for was measured."""


class By(StrEnum):
    """What figures may be split by, one at a time."""

    ALL = "all"
    EVENT = "event"
    CATEGORY = "category"
    POSITION = "position"
    SURFACE = "surface"


@product_command
def outcomes(
    cli: Cli,
    weeks: Annotated[int, typer.Option(min=1, max=520, help="The newest so many weeks.")] = 4,
    by: Annotated[By, typer.Option(help="One row per value of this.")] = By.ALL,
    daily: Annotated[bool, typer.Option("--daily", help="One row per day instead of per week.")] = False,  # noqa: FBT002
    page: Annotated[Path | None, typer.Option(help="Also write all of it as one HTML file with curves.")] = None,
) -> None:
    """What users did with their lists, by week, run and arm; each rate says what it rests on."""
    settings, home = cli.settings(), Storage(Environment.read().home)
    store = OutcomeStore.of(home, settings.product)
    records = store.records()
    if not records:
        raise NotMeasured(_nothing(settings.product, enabled=settings.exposures.enabled))
    first = view.monday(max(records)) - dt.timedelta(weeks=weeks - 1)
    chosen = {day: record for day, record in records.items() if day >= first}
    every = [row for record in chosen.values() for row in store.table(record).to_pylist()]
    rows = [row for row in every if row["by"] == by.value]
    runs = {row["run"] for row in rows if row["run"] is not None}
    gone = {run for run in runs if not home.exists(f"runs/{settings.product}/{run}")}
    days = list(chosen.values())
    found = view.outcomes(days, rows, gone, daily=daily)
    if page is not None:
        from jobs.pages.outcomes import outcomes_page  # here: Jinja is slow to import, and seldom wanted

        mature = {record.day: record.mature for record in days}
        notes = view.notes_on(days, rows, gone)  # of incremental hits it has a table
        write_page(page, outcomes_page(settings.product, mature, every, notes), "outcomes")
    cli.show(found)


def _nothing(product: str, *, enabled: bool) -> str:
    how = "spark-submit jobs/measure_outcomes.py --day YYYY-MM-DD measures one"
    if enabled:
        return f"no day of {product} was measured yet; {how}"
    return (
        f"no day of {product} was measured yet, and its exposures are not enabled: nobody knows what was answered; set "
        f"`exposures: {{enabled: true}}`, or name a dataset of impressions (docs/impressions.md); then {how}"
    )
