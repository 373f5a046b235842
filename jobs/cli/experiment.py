"""`discovery experiment`: opens, shows and closes the experiment of a product."""

import datetime as dt
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from conf.environment import Environment
from conf.errors import ConfigError
from conf.experiment import Experiment, ExperimentName
from conf.windows import parse_day
from jobs.cli.options import Cli, Reason, product_command
from jobs.cli.views import experiment as view
from jobs.experiments.opening import Opening
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.storage.store import Storage
from publish.clock import utc_now

experiment = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A treatment against a control over weeks: open it, which pins both recipes; see it; close it.",
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, _ and -.")]
KnownName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: the open one, else the newest.")]
FirstDay = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="First day of week 1; default: tomorrow.")]


@experiment.command("open")
@product_command
def open_experiment(cli: Cli, name: Name, first_day: FirstDay = None) -> None:
    """Pin the recipe of the settings as treatment, and the control that rollout.control names."""
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
    ExperimentStore.of(home, product.product).add(opened)
    cli.show(view.opened(opened))


@experiment.command()
@product_command
def status(cli: Cli, name: KnownName = None) -> None:
    """What an experiment compares, since when, and where its figures are kept."""
    store = _store(cli)
    cli.show(view.status(_named(store, name), store))


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


def _named(store: ExperimentStore, name: str | None) -> Experiment:
    """Returns the named experiment; None: the open one, else the newest. Raises ExperimentError."""
    if name is not None:
        _check_name(name)
        return store.get(name)
    known = store.read_all()
    if not known:
        raise ExperimentError(f"{store.product} had no experiment yet; discovery experiment open NAME opens one")
    return next((one for one in known if one.is_open), known[-1])


def _check_name(name: str) -> None:
    try:
        TypeAdapter(ExperimentName).validate_python(name)
    except ValidationError as error:
        raise ConfigError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _now() -> dt.datetime:
    return utc_now()
