"""`discovery report`: the page of a run, made anew where the run went on since, or is of older code."""

import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from conf.environment import Environment
from conf.errors import ConfigError
from jobs.cli.options import Cli, product_command
from jobs.cli.page_file import write_text
from jobs.cli.views.view import View
from jobs.run.manifest import NoRun, kept_runs, run_folder
from jobs.run.report import REPORT, kept_report
from jobs.run.run_id import RunId
from jobs.runtime.log import log
from jobs.storage.bound_folder import MANIFEST
from jobs.storage.store import Storage

LAST = "last"


@product_command
def report(
    cli: Cli,
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="A run's id, or last, the newest one.")] = LAST,
    *,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write it into this file; default: into the run's folder.")] = None,
) -> None:
    """The report of a run: what it read, its gates, how good it is, what it published, what changed."""
    home, product = Storage(Environment.read().home), cli.settings().product
    run_id = _newest(home, product) if run == LAST else str(RunId.parse(run))
    folder = run_folder(home, product, run_id)
    if not folder.exists(MANIFEST):
        raise NoRun(f"run {run_id} is not in {home.uri}; `discovery runs` lists those that Redis knows")
    page, is_kept = kept_report(home, product, run_id)
    if out is not None:
        write_text(out, page, "--out")
    elif not is_kept:
        _keep(folder, page)
    where = f"{folder.uri}/{REPORT}" if out is None else str(out)
    cli.show(View(where, {"run": run_id, "report": where}))
    if show:
        _open(out if out is not None else folder.local_path and folder.local_path / REPORT, page)


def _newest(home: Storage, product: str) -> str:
    """Returns the newest run of the product that is no control; raises NoRun."""
    runs = [run for run in kept_runs(home, product).values() if not run.is_control]
    if not runs:
        raise NoRun(f"there is no run of {product} in {home.uri}; DISCOVERY_HOME names the work folder")
    return str(max(runs))


def _keep(folder: Storage, page: str) -> None:
    try:
        folder.write_bytes(REPORT, page.encode())
    except OSError as error:
        raise ConfigError(
            f"{folder.uri}/{REPORT} cannot be written ({error}); write it elsewhere with --out FILE"
        ) from None


def _open(file: Path | None, page: str) -> None:
    """Opens the page; one that lies on no disk of this machine as a copy."""
    if file is None:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=f"-{REPORT}", delete=False) as copy:
            copy.write(page)
        file = Path(copy.name)
    if not webbrowser.open(file.absolute().as_uri()):
        log.warning("warning   no browser could be started; open %s yourself", file)
