"""The cut: the first day that the judged training does not see, and the windows that end there."""

import datetime as dt

from conf.errors import ConfigError
from conf.windows import Window


def cut_of(as_of: dt.date, holdout_days: int) -> dt.date:
    """Returns the first day that the judged training does not see: train < cut <= test < as_of."""
    return as_of - dt.timedelta(days=holdout_days)


def train_window(text: str, cut: dt.date) -> Window | None:
    """Returns the window relative to the cut, ending there at the latest; None if it has no day before the cut."""
    try:
        window = Window.parse(text, cut)
        return Window(window.start, min(window.end, cut))
    except ConfigError:  # "2026-11-10:3 days ago" has days today and none at an earlier cut
        return None
