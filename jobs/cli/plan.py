"""`discovery plan`: what the next push, and with --events the whole job, will cost, before anything runs."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from conf.base import format_bytes
from conf.connections import KafkaConnection
from conf.environment import Environment
from conf.share import EVERYBODY, Share
from jobs.cli.options import Cli, product_command
from jobs.cli.plan_inputs import Shown, plan_push, shown_lately
from jobs.cli.plan_job import JobOptions, count, heap, plan_job, view_of
from jobs.cli.views.view import View, duration
from jobs.runtime.log import log
from jobs.storage.store import Storage
from publish.clock import utc_now
from publish.connect.clients import check_broker
from publish.connect.redis_clients import redis_client
from publish.errors import BrokerUnreachable
from publish.operate.plan import PushPlan
from publish.store.capacity import DeclaredLimits

_DOES_NOT_FIT = 2


def _count(text: str | int) -> int:
    return text if isinstance(text, int) else _parsed(count, text)


def _heap(text: str | int) -> int:
    return text if isinstance(text, int) else _parsed(heap, text)


def _parsed(parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@product_command
def plan(
    cli: Cli,
    users: Annotated[
        int | None, typer.Option(parser=_count, metavar="N", help="Lists to publish; default: as the newest run.")
    ] = None,
    percent: Annotated[float | None, typer.Option("--share", help="Percent of the audience.")] = None,
    sources: Annotated[
        int | None, typer.Option(parser=_count, metavar="N", help="Of the whole job, as --events.")
    ] = None,
    events: Annotated[
        int | None, typer.Option(parser=_count, metavar="N", help="In all windows; plans the whole job, e.g. 7e9.")
    ] = None,
    interactions: Annotated[
        int | None, typer.Option(parser=_count, metavar="N", help="Pairs of user and source; default: as measured.")
    ] = None,
    executors: Annotated[int | None, typer.Option(parser=_count, metavar="N", help="Of Spark; default: 1.")] = None,
    cores: Annotated[
        int | None, typer.Option(parser=_count, metavar="N", help="Of each executor; default: as measured.")
    ] = None,
    memory: Annotated[
        int | None, typer.Option(parser=_heap, metavar="SIZE", help="Heap of each executor, e.g. 16g.")
    ] = None,
    driver_cores: Annotated[
        int | None, typer.Option(parser=_count, metavar="N", help="Of the machine that trains; default: --cores.")
    ] = None,
) -> None:
    """What the next push needs, and with --events the whole job; exits 2 when it would not fit."""
    settings = cli.settings()
    options = JobOptions(users, sources, events, interactions, executors, cores, memory, driver_cores)
    lists = users
    job = None
    if options.is_asked:
        if users is not None and percent is not None:
            lists = max(1, users * int(Share.percent(percent)) // int(EVERYBODY))
        job = plan_job(options, settings, lists or 1)
    environment = Environment.read()
    client = None if environment.redis is None else redis_client(environment.redis)
    share = None if percent is None else Share.percent(percent)
    declared = DeclaredLimits.of(settings.publish)
    home = Storage(environment.home)
    planned = plan_push(
        settings,
        home,
        client,
        users=lists,
        share=share,
        declared=declared,
        kafka=_answering(environment.kafka),
    )
    push = view(planned, shown_lately(settings, home, utc_now().date()))
    misfit = planned.misfit
    if job is not None:
        of_job = view_of(job, settings, planned.seconds_to_load)
        push = View(f"{of_job.text}\n{push.text}", {**push.data, "job": of_job.data})
        misfit = of_job.data["misfit"] or misfit
    cli.show(push)
    if misfit is not None:
        raise typer.Exit(_DOES_NOT_FIT)


def _answering(kafka: KafkaConnection | None) -> KafkaConnection | None:
    """Returns the broker, if it is there; a push can be priced without it."""
    if kafka is not None:
        try:
            check_broker(kafka)
        except BrokerUnreachable as fault:
            log.warning("warning   topics were not looked at: %s", fault)
            return None
    return kafka


def view(planned: PushPlan, shown: Shown | None) -> View:
    """Returns a plan, and what is known of what users were shown, as text and data."""
    lists, limits = planned.lists, planned.limits
    store = "not asked: REDIS_URL is not set"
    if limits is not None and limits.fault is not None:
        store = f"{format_bytes(limits.used)} used; {limits.fault}"
    elif limits is not None:
        store = (
            f"{format_bytes(limits.used)} of {format_bytes(limits.maxmemory)} used; "
            f"{format_bytes(max(0, limits.room))} may be filled, "
            f"{format_bytes(planned.clearable)} more when what nothing needs is cleared"
        )
    lines = [
        f"lists    {lists.records:,} of {lists.record_bytes:.0f} bytes ({lists.basis})",
        f"topic    {format_bytes(planned.topic_bytes)} with all replicas, "
        f"{format_bytes(planned.topic_bytes_with_retry)} with a retry, "
        f"{format_bytes(planned.topic_bytes_kept)} over the retention",
        f"memory   {format_bytes(planned.run_bytes)} for this run, {format_bytes(planned.needed_now)} must be free at "
        f"BEGIN, {format_bytes(planned.steady_peak)} at the weekly peak (serving, to roll back to, loading)",
        f"redis    {store}",
        f"loading  {duration(planned.seconds_to_load)} at {planned.rate.lists_per_second:,.0f} lists/s "
        f"({planned.rate.basis})",
        f"verdict  {'it fits' if planned.misfit is None else f'does not fit: {planned.misfit}'}"
        if limits is not None or planned.misfit is not None
        else "verdict  unknown without Redis",
    ]
    if planned.control is not None:
        control = planned.control
        lines.insert(1, f"control  {control.records:,} of {control.record_bytes:.0f} bytes, counted below")
    if shown is not None:
        lines.append(f"shown    {_shown(shown)}")
    return View("\n".join(lines), {**_data(planned), "shown": None if shown is None else asdict(shown)})


def _shown(shown: Shown) -> str:
    if shown.fault is not None:
        return f"no click-through rates: {shown.fault}"
    return f"{shown.rows:,} impressions in {shown.window}, {shown.days} of its 7 days; runs do not read them"


def _data(planned: PushPlan) -> dict[str, Any]:
    return {
        **asdict(planned),
        "seconds_to_load": planned.seconds_to_load,
        "fits": None if planned.limits is None and planned.misfit is None else planned.misfit is None,
        "misfit": planned.misfit,
    }
