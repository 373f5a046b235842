"""Tells how far the loading of a run is."""

from jobs.runtime.log import tell
from publish.operate.wait import LoadProgress


class ProgressLog:
    """Tells progress when it has moved, at most every two seconds."""

    _EVERY = 2.0

    def __init__(self) -> None:
        self._told = (-1, -self._EVERY)

    def __call__(self, progress: LoadProgress) -> None:
        loaded, at = self._told
        if progress.loaded == loaded or progress.seconds - at < self._EVERY:
            return
        self._told = (progress.loaded, progress.seconds)
        tell(
            "load",
            f"{progress.loaded:,} of {progress.total:,} lists · {progress.rate:,.0f}/s · {progress.seconds:.0f} s",
        )
