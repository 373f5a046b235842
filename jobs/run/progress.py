"""Logs the progress of loading a run, or of a rebuild."""

from jobs.runtime.log import log_step
from publish.operate.rebuild import RebuildProgress
from publish.operate.wait import LoadProgress


class ProgressLog:
    """Logs progress when it has moved, at most every two seconds, under the stage `stage`."""

    _EVERY = 2.0

    def __init__(self, stage: str = "load") -> None:
        self._stage = stage
        self._loaded, self._at = -1, -self._EVERY

    def __call__(self, progress: LoadProgress | RebuildProgress) -> None:
        if progress.loaded == self._loaded or progress.seconds - self._at < self._EVERY:
            return
        self._loaded, self._at = progress.loaded, progress.seconds
        rate = f"{progress.rate:,.0f}/s · " if isinstance(progress, LoadProgress) else ""
        log_step(self._stage, f"{progress.loaded:,} of {progress.total:,} lists · {rate}{progress.seconds:.0f} s")
