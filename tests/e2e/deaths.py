"""Attempts of a run that die at a given call, and what they leave behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobs.run.context import Run
from jobs.run.manifest import Manifest
from tests.e2e.product import Product

RUN = "20261116T030000Z-20261116-1"


@contextmanager
def death(place: Any, name: str, at: Callable[..., bool] = lambda *call: True) -> Iterator[None]:
    """The process is told to stop at the call of `place.name` that `at` picks, by default the first."""
    work = getattr(place, name)

    def call(*given: Any, **more: Any) -> Any:
        if at(*given):
            raise KeyboardInterrupt
        return work(*given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, call)
        yield


def before_the_record(stage: str) -> Callable[[Run, Manifest], bool]:
    """Picks the call of `Run.keep` that would note that a stage is finished."""
    return lambda run, manifest: stage in manifest.stages and stage not in run.manifest.stages


def tables_of(product: Product) -> dict[Path, tuple[int, bytes]]:
    """When each file of the run's finished tables was written, and its bytes."""
    folder = product.home / "runs" / product.name / RUN
    finished = [marker.parent for marker in folder.glob("*/_SUCCESS")]
    files = [file for table in finished for file in table.iterdir()]
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
