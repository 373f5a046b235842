"""Sliding windows of whole UTC days, written as e.g. "10 days ago:today"."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from conf.base import MAX_DAYS
from conf.errors import ConfigError

_AGO = re.compile(r"([0-9]{1,5}) (day|week)s? ago")
_HELP = 'use "A:B" of ISO dates, "today", "yesterday", "N days ago" or "N weeks ago", e.g. "10 days ago:today"'


def parse_day(text: str, where: str = "") -> dt.date:
    """Returns the day; raises ConfigError that begins with `where`, e.g. "--day "."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{where}{text!r:.300} is not a day; write YYYY-MM-DD, e.g. 2026-11-16") from None


def midnight(day: dt.date) -> dt.datetime:
    """Returns the moment at which a day begins, in UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


@dataclass(frozen=True, order=True)
class Window:
    """Half-open range of UTC days, ``start <= dt < end``; never empty."""

    start: dt.date
    end: dt.date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ConfigError(f"window {self} is empty: its start must be before its end; {_HELP}")

    @classmethod
    def parse(cls, text: str, as_of: dt.date) -> "Window":
        """Returns the window that `text` means on the day `as_of`; raises ConfigError."""
        words = [word.strip() for word in text.split(":")]
        if len(words) == 1:
            day = _day(words[0], as_of, text)
            return cls(day, day + dt.timedelta(days=1))
        if len(words) != 2:
            raise ConfigError(f"window {text!r} has {len(words) - 1} colons; {_HELP}")
        return cls(_day(words[0], as_of, text), _day(words[1], as_of, text))

    @property
    def days(self) -> tuple[dt.date, ...]:
        """Every day of the window, oldest first."""
        return tuple(self.start + dt.timedelta(days=i) for i in range((self.end - self.start).days))

    def __contains__(self, day: dt.date) -> bool:
        return self.start <= day < self.end

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


def _day(word: str, as_of: dt.date, text: str) -> dt.date:
    day = _meant(word, as_of, text)
    if abs((day - as_of).days) > MAX_DAYS:
        raise ConfigError(f"window {text!r}: {word!r} is more than {MAX_DAYS:,} days from the day of the run; {_HELP}")
    return day


def _meant(word: str, as_of: dt.date, text: str) -> dt.date:
    if word == "today":
        return as_of
    if word == "yesterday":
        return as_of - dt.timedelta(days=1)
    try:
        if ago := _AGO.fullmatch(word):
            return as_of - dt.timedelta(days=int(ago[1]) * (7 if ago[2] == "week" else 1))
        return dt.date.fromisoformat(word)
    except (ValueError, OverflowError):
        raise ConfigError(f"window {text!r}: {word!r} is not a day; {_HELP}") from None


def _known_words(text: str) -> str:
    words = [word.strip() for word in text.split(":")]
    if len(words) > 2:
        raise ValueError(f"window {text!r} has {len(words) - 1} colons; {_HELP}")
    try:
        for word in words:
            _day(word, dt.date(2000, 1, 3), text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


WindowText = Annotated[str, AfterValidator(_known_words)]
"""A window as written in YAML, validated when the file is loaded."""
