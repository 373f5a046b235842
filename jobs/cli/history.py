"""`discovery history`: who was served when."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from conf.errors import ConfigError
from conf.share import Share
from conf.windows import midnight, parse_day
from jobs.cli.context import ProductContext
from jobs.cli.options import Cli, product_command
from jobs.cli.views.view import NOTHING, View, table, utc_text
from jobs.runtime.log import log, log_step
from publish.connect.clients import check_broker
from publish.errors import BrokerUnreachable
from publish.runs.history import Gap, History, read_history


@product_command
def history(
    cli: Cli,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="What was served on this day (UTC) or later.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write all of it, whatever --limit is, as a Parquet file.")] = None,
) -> None:
    """Who was served when: each change of what serves, with its reason and who made it, the oldest first."""
    start = None if since is None else _midnight(since)
    context = cli.open()
    found = _whole(context) if out is not None else _what_can_be_read(context)
    if start is not None:
        found = found.since(start)
    if out is not None:
        _write(found, out)
    shown = found.newest(limit)
    for gap in shown.gaps:
        log.warning("warning   %s", _tell(gap))
    cli.show(view(shown, earlier=len(found.entries) - len(shown.entries)))


def view(shown: History, *, earlier: int) -> View:
    """Returns one line per change; `earlier` is how many older ones are not shown."""
    header = ("revision", "since (UTC)", "until (UTC)", "treatment", "share", "cap", "control", "hold", "who", "why")
    changes = shown.rows()
    lines = [table([_row(change) for change in changes], header) or "nothing served yet, and nobody gave an order"]
    if earlier:
        lines.append(f"{earlier} earlier ones: --limit {earlier + len(changes)}")
    gaps = [{"before": _iso(gap.before), "what": gap.what} for gap in shown.gaps]
    data = [{**change, "since": _iso(change["since"]), "until": _iso(change["until"])} for change in changes]
    return View("\n".join(lines), {"changes": data, "earlier": earlier, "gaps": gaps})


def _midnight(day: str) -> dt.datetime:
    return midnight(parse_day(day, "--since "))


def _whole(context: ProductContext) -> History:
    """Returns the history of Kafka and Redis; raises ConfigError without Kafka's address, and BrokerUnreachable."""
    kafka = context.environment.need_kafka()
    check_broker(kafka)
    return read_history(context.client, context.product, kafka)


def _what_can_be_read(context: ProductContext) -> History:
    """Returns what `_whole` does; without Kafka, what Redis keeps, with a gap that says that it may be less."""
    try:
        return _whole(context)
    except (BrokerUnreachable, ConfigError) as fault:
        known = read_history(context.client, context.product, None)
        gap = Gap(None, f"this is what Redis keeps, perhaps not all there is: {fault}")
        return replace(known, gaps=(gap, *known.gaps))


def _write(found: History, path: Path) -> None:
    import pyarrow.parquet as pq  # here, because only --out needs it

    try:
        pq.write_table(found.table(), path)
    except OSError as error:
        raise ConfigError(f"--out {path} cannot be written ({error.strerror or error}); name another file") from None
    log_step("history", f"{len(found.entries):,} changes written to {path}")


def _tell(gap: Gap) -> str:
    return gap.what if gap.before is None else f"before {utc_text(gap.before)}: {gap.what}"


def _row(change: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(change["revision"]),
        _time(change["since"]),
        "now" if change["until"] is None else _time(change["until"]),
        change["treatment"] or NOTHING,
        str(Share(change["share_bp"])),
        str(Share(change["cap_bp"])),
        change["control"] or "",
        "" if change["hold"] is None else "held",
        change["who"] or "not known",
        change["reason"],
    )


def _time(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
