"""How dead letters look: text for a person, and the same as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from jobs.cli.views.view import View, table, utc_text
from publish.operate.dead_letter_commands import Dropped, LetterContent, LetterReport, Sent


def letters(reports: Sequence[LetterReport]) -> View:
    """Returns one line per letter, the oldest first."""
    text = table([_row(report) for report in reports], ("id", "when", "from", "run", "bytes", "why"))
    return View(text or "no dead letters", [_data(report) for report in reports])


def letter(content: LetterContent) -> View:
    """Returns one letter, with what it says."""
    report = content.report
    readable = content.fault if content.content is None else json.dumps(content.content, ensure_ascii=False)
    lines = [
        f"letter   {report.letter.id}, {_when(report)}, {report.letter.size:,} bytes",
        f"why      {report.letter.reason}",
        f"from     {_origin(report)}",
        f"run      {_run(report) or 'cannot be told'}",
        f"record   {'cannot be read' if content.kind is None else f'{content.kind}, seq {content.seq}'}",
        f"content  {readable}",
    ]
    if content.hex is not None:
        lines.append(f"bytes    {content.hex or 'none'}")
    data = {
        **_data(report),
        "kind": content.kind,
        "seq": content.seq,
        "content": content.content,
        "fault": content.fault,
        "hex": content.hex,
    }
    return View("\n".join(lines), data)


def retried(sent: Sequence[Sent]) -> View:
    """Returns letters that are in their topic again."""
    lines = [f"letter {one.letter} was sent to partition {one.partition} again, for run {one.run}" for one in sent]
    return View("\n".join(lines), [one.__dict__ for one in sent])


def dropped(result: Dropped) -> View:
    """Returns how many letters are deleted and left."""
    return View(f"{result.dropped} letters deleted, {result.left} left", result.__dict__)


def _row(report: LetterReport) -> tuple[str, ...]:
    one = report.letter
    return (str(one.id), _when(report), _origin(report), _run(report), f"{one.size:,}", one.reason)


def _when(report: LetterReport) -> str:
    return "" if report.letter.at is None else utc_text(report.letter.at)


def _origin(report: LetterReport) -> str:
    one = report.letter
    return f"{one.topic} [{one.partition}] @ {one.offset}" if one.topic is not None else "unknown"


def _run(report: LetterReport) -> str:
    if report.run is not None:
        return report.run
    return "" if report.letter.epoch is None else f"unknown (epoch {report.letter.epoch})"


def _data(report: LetterReport) -> dict[str, Any]:
    one = report.letter
    return {
        "id": one.id,
        "at": one.at,
        "reason": one.reason,
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.offset,
        "run": report.run,
        "epoch": one.epoch,
        "bytes": one.size,
        "value_kept": one.dropped_value_bytes is None,
    }
