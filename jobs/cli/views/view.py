"""How the operator's answers look: text for a person, and the same as JSON."""

import datetime as dt
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conf import text_table

NOTHING = "nothing"
"""What stands where there is none."""


@dataclass(frozen=True)
class View:
    """One answer in both forms."""

    text: str
    data: Any

    def as_json(self) -> str:
        """Returns the data as one JSON document, in ASCII: any terminal and any pipe can take it."""
        return json.dumps(self.data, default=str)


def utc_text(moment: dt.datetime) -> str:
    """Returns a time in UTC to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = (), *, indent: int = 0) -> str:
    """Returns rows in columns for stdout; see conf.text_table."""
    return text_table.table(rows, header, indent=indent, to=sys.stdout)


def duration(seconds: float) -> str:
    """Returns seconds for people: 45 s, 7 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
