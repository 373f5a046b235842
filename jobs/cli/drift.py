"""`discovery drift`: what the drift gates found in runs, and what operators decide about it."""

import datetime as dt
from typing import Annotated

import typer

from conf.datasets import IMPRESSIONS, EventDataset, SnapshotDataset
from conf.environment import Environment
from conf.errors import ConfigError
from conf.windows import Window, parse_day
from expectations.drift.findings import Accepted, Excluded
from expectations.drift.statistics import OF_DATA
from features.errors import FeaturesError
from features.reading.dataset import enforce_policy, plan_dataset
from jobs.cli.drift_findings import Drift, NoFinding, finding_of, hint, judged
from jobs.cli.options import Cli, Reason, product_command
from jobs.cli.views import drift as view
from jobs.runtime.log import log
from jobs.storage.datasets import open_catalog
from jobs.storage.store import Storage
from publish.author import person
from publish.clock import utc_now

drift = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="What drifted: findings of runs, and what operators decide about them.",
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A statistic by its full name, e.g. clicks.users.")]
Control = Annotated[
    bool, typer.Option("--control", help="Of controls of experiments; numbers of data are the same for both arms.")
]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]


@drift.command("show")
@product_command
def show_run(
    cli: Cli,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Default: the newest that was judged.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also what is as usual, or still learning.")] = False,
) -> None:
    """What deviates in a run, the most probable cause first, and how to go on."""
    opened = _open(cli)
    reports = opened.reports(run)
    shown = reports[0].run or ""
    beside = opened.control_of(shown)
    cli.show(view.findings(reports, judged(reports), opened.page(shown), beside, everything=everything))


@drift.command()
@product_command
def history(cli: Cli, name: Name, *, control: Control = False) -> None:
    """Weeks or runs of one statistic: what was found, and what was usual by the ones before."""
    opened = _open(cli, is_of_control=control)
    found = opened.newest(name)
    if found is not None and found.finding.past:
        cli.show(view.past(found))
        return
    measured = opened.own.history()
    for key in measured.keys:
        if f"{key[1]}.{key[2]}" == name:
            cli.show(view.measured(key, measured.series(key)))
            return
    raise NoFinding(f"there is no statistic {name!r:.300}; {hint(name, opened.names())}")


@drift.command()
@product_command
def accept(cli: Cli, name: Name, *, reason: Reason = "", control: Control = False, undo: Undo = False) -> None:
    """Take over the new level of a statistic that raised an alarm: it is the usual one from then on."""
    opened = _open(cli, is_of_control=control)
    if undo:
        known = opened.own.decisions().accepted
        held = [one for one in known if one.name == name]
        if not held:
            there = ", ".join(one.name for one in known) or "none"
            raise NoFinding(f"no level of {name!r:.300} was accepted; accepted: {there}")
        opened.store.decide(held[-1], undone=True)
        cli.show(view.no_longer_accepted(held[-1]))
        return
    _need(reason)
    alarm = opened.alarm(name)
    accepted = Accepted(
        name=name,
        days=alarm.days,
        shift=alarm.shift,
        reason=reason,
        by=person(),
        at=utc_now(),
        run=None if alarm.kind in OF_DATA else alarm.run,
    )
    opened.store.decide(accepted)
    cli.show(view.accepted(accepted, finding_of(alarm)))


@drift.command()
@product_command
def exclude(
    cli: Cli,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="As in the settings.")],
    days: Annotated[list[str], typer.Argument(metavar="DAY...", help="Days of its partitions, YYYY-MM-DD.")],
    *,
    reason: Reason = "",
    undo: Undo = False,
) -> None:
    """Leave days of a dataset out of every later run; of a snapshot the newest partition before is taken."""
    opened = _open(cli)
    known = opened.settings.datasets.every
    if dataset not in known:
        raise ConfigError(f"there is no dataset {dataset!r:.300} in the settings; there are: {', '.join(known)}")
    wanted = [_day(text) for text in dict.fromkeys(days)]
    if undo:
        _include_again(cli, opened, dataset, wanted)
        return
    _need(reason)
    excluded = [Excluded(dataset=dataset, day=day, reason=reason, by=person(), at=utc_now()) for day in wanted]
    for one in excluded:
        opened.store.decide(one)
    stops, then = _next_run(opened, dataset)
    cli.show(view.excluded(excluded, then, stops=stops))
    if stops:
        log.warning("warning   the next run will stop: %s", then)


@drift.command()
@product_command
def decisions(cli: Cli) -> None:
    """What operators decided and did not take back: days that are left out, and levels that were accepted."""
    cli.show(view.decisions(_open(cli).store.decisions()))


@drift.command()
@product_command
def backfill(
    cli: Cli,
    *,
    days: Annotated[int, typer.Option("--days", help="Days before --as-of; data may lack some.")] = 182,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DAY", help="Default: today.")] = None,
) -> None:
    """Make the history of the past from data that is still there, without training; needs Spark and Kafka."""
    from jobs.cli.drift_backfill import fill  # here, because the other commands work without Spark

    fill(cli, days, utc_now().date() if as_of is None else _day(as_of))


def _open(cli: Cli, *, is_of_control: bool = False) -> Drift:
    return Drift(cli.settings(), Storage(Environment.read().home), is_of_control)


def _need(reason: str) -> None:
    if not reason.strip():
        raise ConfigError("--reason is missing: say in a few words why, for those who look at the run later")


def _day(text: str) -> dt.date:
    day = parse_day(text)
    if day > utc_now().date():
        raise ConfigError(f"{day} is in the future; only days that a run may have read can be left out")
    return day


def _include_again(cli: Cli, opened: Drift, dataset: str, days: list[dt.date]) -> None:
    held = {one.day: one for one in opened.store.decisions().excluded if one.dataset == dataset}
    if lacking := [day for day in days if day not in held]:
        there = ", ".join(map(str, sorted(held))) or "none"
        raise NoFinding(f"{dataset}: {', '.join(map(str, lacking))} is not excluded; excluded days: {there}")
    for day in days:
        opened.store.decide(held[day], undone=True)
    cli.show(view.no_longer_excluded([held[day] for day in days]))


def _next_run(opened: Drift, name: str) -> tuple[bool, str]:
    """Returns whether the next run would stop at this dataset, and what it would say or do."""
    datasets = opened.settings.datasets
    try:
        if name == IMPRESSIONS and datasets.impressions is not None:
            return False, "no run reads impressions; click-through rates are made without these days from now on"
        if name in datasets.events:
            return False, _read(opened, name, datasets.events[name])
        return _taken(opened, name, getattr(datasets, name))
    except FeaturesError as error:
        return True, str(error)


def _read(opened: Drift, name: str, dataset: EventDataset) -> str:
    """Returns what a run would do without the excluded days. Raises FeaturesError."""
    window = Window.parse(dataset.window, opened.as_of)
    plan = plan_dataset(name, dataset, window, open_catalog(opened.settings, opened.home))
    enforce_policy(plan, dataset)
    if not plan.excluded:
        return f"a run as of {opened.as_of} reads {window} and none of these days"
    return (
        f"a run as of {opened.as_of} goes on without {len(plan.excluded)} of the {len(window.days)} days of {window} "
        f"(on_missing: {dataset.on_missing}, {len(plan.gaps)} of at most {dataset.max_missing_days} missing days)"
    )


def _taken(opened: Drift, name: str, dataset: SnapshotDataset) -> tuple[bool, str]:
    """Returns whether a run finds no partition, and which one it takes. Raises FeaturesError."""
    catalog, as_of = open_catalog(opened.settings, opened.home), opened.as_of
    window = Window(as_of - dt.timedelta(days=dataset.max_age_days), as_of + dt.timedelta(days=1))
    for day in reversed([day for day in catalog.days(dataset) if day in window]):
        if catalog.partitions(dataset, (day,)).finished:
            return False, f"a run as of {as_of} takes the partition of {day}"
    return True, (
        f"dataset {name!r} has no other finished partition in {window}; have one delivered, or raise max_age_days "
        f"(now {dataset.max_age_days})"
    )
