"""Who looked at which user: a line in the log, and in a file per month below the work folder if that is local."""

import datetime as dt
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from conf.ids import UserId
from jobs.storage.store import Storage
from publish.clock import Clock, utc_now

_LOG = logging.getLogger(__name__)
KEPT_MONTHS = 12
"""Months whose files are kept."""


@dataclass(frozen=True)
class Looks:
    """Notes the looks at users of one product; each is noted before anything is shown."""

    home: Storage
    product: str
    clock: Clock = utc_now

    def note(self, user: UserId, run: str | None, who: str, *, forgotten: bool = False) -> None:
        """Notes one look; of a forgotten user only that there was one. Raises OSError: then nothing may be shown."""
        now = self.clock()
        line = json.dumps(
            {
                "at": now.isoformat(timespec="milliseconds"),
                "who": who,
                "product": self.product,
                "user": None if forgotten else user,
                "run": run,
                "forgotten": forgotten,
            }
        )
        _LOG.info("look      %s", line)
        folder = self.home.child(f"looks/{self.product}").local_path
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{now:%Y-%m}.jsonl").open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            _forget_old(folder, now)


def _forget_old(folder: Path, now: dt.datetime) -> None:
    months = now.year * 12 + now.month - KEPT_MONTHS
    oldest = f"{(months - 1) // 12}-{(months - 1) % 12 + 1:02}"
    for file in folder.glob("????-??.jsonl"):
        if file.stem < oldest:
            file.unlink(missing_ok=True)
