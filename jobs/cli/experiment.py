"""`discovery experiment`: plans, opens, shows, judges, raises and closes the experiment of a product."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from conf.environment import Environment
from conf.errors import ConfigError
from conf.experiment import Experiment, ExperimentName
from conf.judging import JudgingSettings
from conf.ramp import RampSettings
from conf.settings import Settings
from conf.share import EVERYBODY, NOBODY, Share
from conf.windows import parse_day
from jobs.cli.options import Cli, Reason, product_command
from jobs.cli.page_file import write_page
from jobs.cli.views import experiment as view
from jobs.cli.views.view import View
from jobs.experiments.decisions import Approval, DecisionStore
from jobs.experiments.opening import Opening
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.experiments.weeks import WeekStore
from jobs.outcomes.store import OutcomeStore
from jobs.run.arguments import past_day
from jobs.storage.store import Storage
from publish.author import person
from publish.clock import utc_now

if TYPE_CHECKING:  # statistics take long to import, and most commands need none
    from jobs.experiments.planning import Source

experiment = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A treatment against a control over weeks: plan; open, which pins both recipes; judge, raise and close it.",
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, _ and -.")]
KnownName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: the open one, else the newest.")]
Metrics = Annotated[
    list[str] | None, typer.Option("--metric", metavar="METRIC", help="Repeatable; e.g. new, events:event=like.")
]
AsOf = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The day of the run; default: today.")]
Wait = Annotated[bool, typer.Option("--wait", help="Exit with 75 until the week that is over is measured.")]
FirstDay = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="First day of week 1; default: tomorrow.")]


@experiment.command("open")
@product_command
def open_experiment(cli: Cli, name: Name, first_day: FirstDay = None) -> None:
    """Pin the recipe of the settings as treatment, and the control that rollout.control names."""
    from jobs.cli.plan_inputs import known_users
    from publish.runs.history import read_history  # here, because nothing else asks for Kafka
    from publish.runs.lease import holder_of
    from publish.wire.keys import ProductKeys

    _check_name(name)
    product, home = cli.open(), Storage(Environment.read().home)
    holder = holder_of(product.client, ProductKeys(product.product))
    if holder is not None:
        raise ExperimentError(f"{holder} is under way, without the experiment; open it when that run has ended")
    history = read_history(product.client, product.product, product.environment.kafka)
    pointer = product.control.pointers.read()
    opening = Opening(
        settings=product.settings,
        home=home,
        serving=pointer.treatment,
        used_salts={pointer.salt, *(entry.pointer.salt for entry in history.entries)},
        now=_now(),
    )
    opened = opening.experiment(name, None if first_day is None else parse_day(first_day, "--first-day "))
    users = known_users(product.settings, home, product.control.registry.list_runs())
    ExperimentStore.of(home, product.product).add(opened)
    cli.show(view.opened(opened, _warnings(product.settings, users)))


@experiment.command()
@product_command
def status(cli: Cli, name: KnownName = None) -> None:
    """What an experiment compares, since when, and where its figures are kept."""
    store = _store(cli)
    cli.show(view.status(_named(store, name), store))


@experiment.command("plan")
@product_command
def plan_it(  # each is an option
    cli: Cli,
    name: KnownName = None,
    weeks: Annotated[int | None, typer.Option(min=1, max=52, help="Default: experiment.weeks.")] = None,
    percent: Annotated[
        float | None, typer.Option("--share", help="Percent treated in every week; default: the ramp's steps.")
    ] = None,
    metric: Metrics = None,
    users: Annotated[int | None, typer.Option(min=1, help="Users of the audience; default: as measured.")] = None,
    mean: Annotated[float | None, typer.Option(help="Mean per user and week, where nothing was measured.")] = None,
    sd: Annotated[float | None, typer.Option(help="Standard deviation of a user's week; goes with --mean.")] = None,
    correlation: Annotated[
        float | None, typer.Option(min=0, max=0.999, help="Of two weeks of a user; goes with --mean.")
    ] = None,
    power: Annotated[
        float, typer.Option(min=0.1, max=0.99, help="Part of the cases in which it is to be found.")
    ] = 0.8,
) -> None:
    """How small an effect is found, by weeks: from weeks that were measured, or from --mean and --sd."""
    from jobs.cli.views.experiment_report import planned
    from jobs.experiments.planning import given, plan_experiment

    settings = cli.settings()
    changes: dict[str, Any] = ({} if weeks is None else {"weeks": weeks}) | (
        {"metrics": tuple(metric)} if metric else {}
    )
    judged_by = _checked(settings.experiment, changes)
    shares = _shares(settings, judged_by.weeks, None if percent is None else Share.percent(percent))
    if mean is None and sd is None:
        if correlation is not None:
            raise ConfigError("--correlation goes with --mean and --sd: otherwise it is measured")
        source = _measured(settings, judged_by.metrics, name, users)
    elif mean is None or sd is None or users is None or (len(judged_by.metrics) > 1 and metric):
        raise ConfigError("--mean and --sd go together, with --users and at most one --metric")
    elif mean < 0 or sd <= 0:
        raise ConfigError(f"--mean {mean:g} --sd {sd:g}: a mean is not below 0, a standard deviation is above it")
    else:
        only = judged_by.metrics[0] if metric else "the metric"
        source = given(only, users, mean, sd, correlation)
    cli.show(planned(plan_experiment(settings.product, source, shares, judged_by, power)))


@experiment.command()
@product_command
def report(
    cli: Cli,
    name: KnownName = None,
    metric: Metrics = None,
    page: Annotated[Path | None, typer.Option(help="Also write all of it as one HTML file with drawings.")] = None,
) -> None:
    """What it has shown until now: sample-ratio mismatch first, then guardrails and effects; --metric shows more."""
    from jobs.cli.views.experiment_report import reported
    from jobs.experiments.report import Reporting, newest_sums

    settings, store = cli.settings(), _store(cli)
    found = _named(store, name)
    weeks = WeekStore.of(store, found.name)
    asked_for = _checked(settings.experiment, {"metrics": tuple(metric)}).metrics if metric else ()
    made = Reporting.of(settings, found, newest_sums(found, weeks), weeks, asked_for).report()
    if page is not None:
        from jobs.pages.experiment import experiment_page  # here: Jinja is slow to import, and seldom wanted

        write_page(page, experiment_page(made), "experiment")
    cli.show(reported(made))


@experiment.command()
@product_command
def decide(cli: Cli, as_of: AsOf = None, *, wait: Wait = False) -> None:
    """Decide the share of the week's run: exits 0 decided, 4 stopped, 75 last week is not measured yet."""
    from jobs.experiments.entry import weekly_share  # here, because nothing else asks for scipy

    today = _now().date()
    day = today if as_of is None else past_day(parse_day(as_of, "--as-of "), today)
    share = weekly_share(cli.settings(), Environment.read(), day, wait=wait)
    cli.show(View(share.text(), share.data()))
    if share.exit_code:
        raise typer.Exit(share.exit_code)


@experiment.command()
@product_command
def approve(cli: Cli, percent: float, reason: Reason = "approved by hand") -> None:
    """Let the share of the open experiment rise up to this step, in its weeks and if no guardrail minds."""
    settings, store = cli.settings(), _store(cli)
    found = store.find_open()
    if found is None:
        raise ExperimentError(f"no experiment of {store.product} is open, so there is no share to approve")
    approval = Approval(
        share_bp=_step(settings.rollout.ramp, Share.percent(percent)), approved=_now(), who=person(), reason=reason
    )
    decisions = DecisionStore.of(store, found.name)
    if any(one.action == "stop" for one in decisions.all()):
        raise ExperimentError(f"experiment {found.name} was stopped, and its share does not rise any more; close it")
    decisions.approve(approval)
    cli.show(view.approved(found, approval))


@experiment.command()
@product_command
def close(cli: Cli, *, reason: Reason = "") -> None:
    """Close the open experiment: the next run has no control, and recipes compete again."""
    store = _store(cli)
    found = store.find_open()
    if found is None:
        raise ExperimentError(f"no experiment of {store.product} is open, so there is none to close")
    if not reason.strip():
        raise ConfigError("--reason: say in a few words why it is closed, e.g. --reason 'the treatment won'")
    cli.show(view.closed(store.close(found, _now(), reason)))


def _store(cli: Cli) -> ExperimentStore:
    return ExperimentStore.of(Storage(Environment.read().home), cli.settings().product)


def _step(ramp: RampSettings | None, share: Share) -> Share:
    """Returns a share that can be approved; raises ConfigError for one that no decision waits for."""
    if ramp is None:
        raise ConfigError("there is no rollout.ramp, so no share rises and none is to be approved")
    if ramp.approve == "auto":
        raise ConfigError("rollout.ramp.approve is auto: nothing waits for an approval")
    if share not in ramp.steps:
        raise ConfigError(f"{share} is no step of rollout.ramp; the steps are {', '.join(map(str, ramp.steps))}")
    return share


def _named(store: ExperimentStore, name: str | None) -> Experiment:
    """Returns the named experiment; None: the open one, else the newest. Raises ExperimentError."""
    if name is not None:
        _check_name(name)
        return store.get(name)
    known = store.read_all()
    if not known:
        raise ExperimentError(f"{store.product} had no experiment yet; discovery experiment open NAME opens one")
    return next((one for one in known if one.is_open), known[-1])


def _measured(settings: Settings, metrics: Sequence[str], name: str | None, users: int | None) -> "Source":
    """Returns what is known of weeks that are over. Raises ConfigError where nothing is."""
    from jobs.experiments.planning import newest_measured, of_outcomes, of_sums

    home = Storage(Environment.read().home)
    store = ExperimentStore.of(home, settings.product)
    if name is not None:
        _named(store, name)
    sums = newest_measured(store, name)
    if sums is not None:
        return of_sums(*sums, metrics, users)
    from jobs.cli.plan_inputs import audience_of

    audience = (None if name is not None else audience_of(settings, home)) if users is None else ("as given", users)
    if audience is not None:
        said, number = audience
        source = of_outcomes(OutcomeStore.of(home, settings.product), metrics, number, f"({said})")
        if source is not None:
            return source
    raise ConfigError(
        f"nothing is measured of {f'experiment {name}' if name else settings.product} that a plan could rest on; give "
        "--users, --mean and --sd of a user's week, and --correlation of two weeks if you know it"
    )


def _warnings(settings: Settings, users: int | None) -> list[str]:
    """Returns what is to be known of the shares; nothing where nobody knows how many users there are."""
    from jobs.experiments.planning import warnings_of_shares

    shares = _steps(settings) or [settings.rollout.share.bp]
    if users is None or shares[0] in (NOBODY.bp, EVERYBODY.bp):
        return []
    return list(warnings_of_shares(users, shares))


def _steps(settings: Settings) -> list[int]:
    ramp = settings.rollout.ramp
    return [] if ramp is None else [step.bp for step in ramp.steps]


def _shares(settings: Settings, weeks: int, share: Share | None) -> list[int]:
    """Returns the shares of an experiment to come, week by week. Raises ConfigError if nobody could be compared."""
    from jobs.experiments.report import shares_to_come

    steps = _steps(settings) if share is None else []
    if steps:
        return shares_to_come(0, steps, weeks)
    only = settings.rollout.share if share is None else share
    if only in {NOBODY, EVERYBODY}:
        of = "--share" if share is not None else "rollout.share"
        raise ConfigError(f"{of} is {only}, so one arm would be empty; give --share in percent, e.g. --share 25")
    return [only.bp] * weeks


def _checked(settings: JudgingSettings, changes: dict[str, Any]) -> JudgingSettings:
    """Returns the settings with these changes; raises ConfigError."""
    try:
        return JudgingSettings.model_validate(settings.model_dump() | changes)
    except ValidationError as error:
        raise ConfigError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _check_name(name: str) -> None:
    try:
        TypeAdapter(ExperimentName).validate_python(name)
    except ValidationError as error:
        raise ConfigError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _now() -> dt.datetime:
    return utc_now()
