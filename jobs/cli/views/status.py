"""`discovery status`: the product at a glance."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from conf.base import format_bytes
from jobs.cli.views.runs import hold_text, report_data, run_data, serving_line
from jobs.cli.views.view import NOTHING, View, duration, table
from jobs.exposures.position import Position
from publish.operate.control import RunReport, StatusReport
from publish.operate.plan import loading_rate
from publish.runs.pointer import Pointer
from publish.runs.promotion import REBUILDING
from publish.runs.run import RunState, UnreadableRun
from publish.store.capacity import StoreLimits
from publish.store.durability import damaged


def status(report: StatusReport, dead_letters: int, answers: Position | None = None) -> View:
    """Returns what serves, what is on its way and how far, what is held and why, memory, dead letters."""
    pointer, limits = report.pointer, report.limits
    lines = [
        serving_line(pointer, report.serving),
        f"control arm   {pointer.control if pointer.control is not None else 'nothing (the caller’s own default)'}",
        f"roll back to  {_way_back(pointer)}",
        f"hold          {hold_text(pointer)}",
        f"on the way    {_on_the_way(report.on_the_way)}",
        f"waiting       {', '.join(_waiting(run) for run in report.waiting) or NOTHING}",
        f"memory        {_memory(limits)}",
        f"dead letters  {dead_letters}{' (discovery dlq list)' if dead_letters else ''}",
    ]
    if answers is not None:
        at = "nothing is landed yet" if answers.landed_at is None else f"last landed {answers.landed_at[:19]}Z"
        lines.append(f"answers       {answers.waiting:,} wait in the topic, {at} (discovery exposures show)")
    if report.unsent:
        lines.append(f"history       changes that are not in Kafka yet: {report.unsent}; a running loader sends them")
    lines += [f"ALARM         {text}" for text in _alarms(report)]
    data = _data(report, dead_letters) | {"answers": None if answers is None else answers._asdict()}
    return View("\n".join(lines), data)


def _way_back(pointer: Pointer) -> str:
    if pointer.previous is None:
        return NOTHING
    return pointer.previous + ("" if pointer.previous_control is None else f", with {pointer.previous_control}")


def _memory(limits: StoreLimits) -> str:
    if limits.maxmemory <= 0:
        return f"{format_bytes(limits.used)} used, of no limit"
    room = format_bytes(max(0, limits.room))
    return f"{format_bytes(limits.used)} of {format_bytes(limits.maxmemory)} used, {room} may still be filled"


def _on_the_way(runs: Sequence[RunReport]) -> str:
    return "\n".join(_progress(run) for run in runs) or NOTHING


def _progress(report: RunReport) -> str:
    announced, loaded = report.run.announcement, _loaded(report)
    done = sum(part.is_verified for part in report.partitions)
    share = 100 * loaded / announced.users if announced.users else 100
    head = (
        f"{report.run.name} {report.run.state}: {loaded:,} of {announced.users:,} lists ({share:.0f} %), "
        f"{done} of {announced.partitions} partitions verified{_pace(report)}"
    )
    if report.run.state is RunState.LOADING and done == announced.partitions and announced.replicas:
        head += f"; postponed until {announced.replicas} replicas of each master have it"
    rows = [(str(p.partition), p.state or "not begun", f"{p.loaded:,}", f"{p.count:,}") for p in report.partitions]
    return f"{head}\n{table(rows, ('partition', 'state', 'lists', 'of'), indent=2)}"


def _pace(report: RunReport) -> str:
    rate = loading_rate(report.partitions)
    if rate is None:
        return ""
    left = (report.run.announcement.users - _loaded(report)) / rate
    return f", {rate:,.0f}/s" + (f", {duration(left)} left" if left else ", all loaded")


def _loaded(report: RunReport) -> int:
    return sum(part.loaded for part in report.partitions)


def _waiting(report: RunReport) -> str:
    why = _why_not_serving(report)
    return f"{report.run.name}{'' if why is None else f' ({why})'}"


def _why_not_serving(report: RunReport) -> str | None:
    if report.run.status.held is not None:
        return report.run.status.held
    if report.run.announcement.role == "control":
        return "a control: it serves when its treatment does"
    if report.run.status.restoring:
        return f"postponed: {REBUILDING}"
    if lost := damaged(report.partitions):
        places = ", ".join(map(str, lost))
        return f"postponed: Redis lost writes of partitions {places}; a running loader loads them again"
    return None


def _alarms(report: StatusReport) -> list[str]:
    alarms = []
    if report.restoring:
        alarms.append("a rebuild is under way; nothing serves until it is done (discovery rebuild goes on with it)")
    if report.limits.fault is not None:
        alarms.append(f"{report.limits.fault}; until then no run is loaded")
    if report.damaged:
        alarms.append(_damage(report.damaged))
    alarms += [_unreadable(run, report.pointer) for run in report.unreadable]
    return alarms


def _unreadable(run: UnreadableRun, pointer: Pointer) -> str:
    role = next(
        (f", which the pointer names as {role}," for role, name in pointer.named.items() if name == run.name), ""
    )
    return f"the record of run {run.name}{role} cannot be read and is left alone: {run.why}"


def _damage(partitions: Sequence[int]) -> str:
    places = ", ".join(map(str, partitions))
    return (
        f"partitions {places} of the run that serves are not whole: Redis lost writes; a running loader loads them "
        "again (discovery load), users there get the fallback list until then"
    )


def _data(report: StatusReport, dead_letters: int) -> dict[str, Any]:
    limits = report.limits
    return {
        "pointer": report.pointer.model_dump(mode="json"),
        "serving": None if report.serving is None else run_data(report.serving),
        "on_the_way": [
            {**report_data(run), "lists_per_second": loading_rate(run.partitions)} for run in report.on_the_way
        ],
        "waiting": [report_data(run) for run in report.waiting],
        "damaged_partitions": list(report.damaged),
        "unreadable": [asdict(run) for run in report.unreadable],
        "restoring": report.restoring,
        "unsent_changes": report.unsent,
        "memory": {"used": limits.used, "maxmemory": limits.maxmemory, "room": limits.room},
        "dead_letters": dead_letters,
    }
