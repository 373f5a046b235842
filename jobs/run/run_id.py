"""Run ids, which sort by time and contain `as_of` and attempt."""

import datetime as dt
import re
from dataclasses import dataclass

from conf.errors import ConfigError
from conf.experiment import CONTROL_SUFFIX

_FORM = re.compile(rf"(\d{{8}}T\d{{6}}Z)-(\d{{8}})-(\d{{1,3}})({CONTROL_SUFFIX})?")


@dataclass(frozen=True, order=True)
class RunId:
    """`<start, UTC>-<as_of>-<attempt>`, e.g. 20261116T030000Z-20261116-1; `…-control` for the control of that run."""

    started: dt.datetime
    as_of: dt.date
    attempt: int
    is_control: bool = False

    @classmethod
    def parse(cls, text: str) -> "RunId":
        """Returns the run id that `text` spells. Raises ConfigError."""
        found = _FORM.fullmatch(text)
        try:
            if found is None:
                raise ValueError
            started = dt.datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
            as_of = dt.datetime.strptime(found[2], "%Y%m%d").replace(tzinfo=dt.UTC).date()
            return cls(started, as_of, int(found[3]), found[4] is not None)
        except ValueError:
            raise ConfigError(
                f"run id {text!r} is malformed; it must be <start>-<as_of>-<attempt>, e.g. 20261116T030000Z-20261116-1"
            ) from None

    @classmethod
    def find(cls, name: str) -> "RunId | None":
        """Returns the run id in a folder's name, or None when it is not the name of a run."""
        return cls.parse(name) if _FORM.fullmatch(name) else None

    def __str__(self) -> str:
        own = f"{self.started:%Y%m%dT%H%M%SZ}-{self.as_of:%Y%m%d}-{self.attempt}"
        return own + (CONTROL_SUFFIX if self.is_control else "")
