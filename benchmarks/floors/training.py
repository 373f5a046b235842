"""The floor of `train`: interactions are read, and the library `implicit` makes as many fits as the stage did."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.dataset as ds
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from benchmarks.floors.finished_run import FinishedRun
from benchmarks.floors.floor import CORES, Floor, best_seconds
from models.training.confidences import fixed_confidences
from models.training.matrix import fill_matrix, scan_ids

_TASKS = ("train_", "champion_train_", "")
"""Prefixes of the tables of a run's trainings: those that are judged, and the refit."""


def training_floor(run: FinishedRun) -> Floor:
    """Returns the seconds to read the interactions of every training of the run, and of its bare fits in memory.

    The matrix is made in between and not counted; nor are the start of the factors and the judging of lists.
    """
    reading, fitting, fits = 0.0, 0.0, 0
    for prefix, facts in _trainings(run):
        interactions = run.table(facts["trained_on"])
        reading += best_seconds(lambda table=interactions: table.to_table(["user_id", "source_id", "weight"]))  # type: ignore[misc]
        fitting += _fit_seconds(run, interactions, _dimensions(run, prefix), facts["iterations"])
        fits += 1
    return Floor(("train",), {"reading": reading, f"{fits} fits by implicit": fitting})


def _trainings(run: FinishedRun) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the prefix and the recorded facts of each training of the run; a refresh has none."""
    for prefix in _TASKS:
        if run.folder.exists(f"{prefix}training.json"):
            yield prefix, json.loads(run.folder.read_bytes(f"{prefix}training.json"))


def _dimensions(run: FinishedRun, prefix: str) -> int:
    return len(run.table(f"{prefix}source_factors").head(1)["factors"][0])


def _fit_seconds(run: FinishedRun, interactions: ds.Dataset, dimensions: int, iterations: int) -> float:
    from implicit.cpu.als import AlternatingLeastSquares  # a second to import

    weights = fill_matrix(interactions, *scan_ids(interactions, run.settings.ids))
    confidences, constants = fixed_confidences(weights, run.settings.train)

    def fit(matrix: csr_matrix) -> None:
        AlternatingLeastSquares(
            dimensions,
            constants.regularization,
            alpha=1.0,
            iterations=iterations,
            calculate_training_loss=False,
            num_threads=CORES,
            random_state=7,
        ).fit(matrix, show_progress=False)

    with threadpool_limits(1, "blas"):  # the library's own threads do the work
        return best_seconds(lambda: fit(confidences))
