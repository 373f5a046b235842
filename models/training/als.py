"""Alternating least squares: confidences → factors. Only this module knows the library behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from conf.training import AlsSettings
from models.errors import TrainError
from models.training.confidences import noise_level
from models.training.spectral import Factors as Factors
from models.training.spectral import spectral_start

OnIteration = Callable[[int, float, Factors, Factors], None]
"""Called after each iteration with its number from 1, its seconds, and read-only user and source factors.

What it raises ends the training and is raised by it.
"""


@dataclass(frozen=True, eq=False)
class ImplicitAls:
    """Alternating least squares by conjugate gradients (Takács, Pilászy, Tikk 2011) from the library `implicit`.

    Starts from `start`, factors (users, d) and (sources, d) that it overwrites, for `settings.warm_iterations`; without
    it from the spectrum, for `settings.iterations`.
    """

    on_iteration: OnIteration | None = None
    start: tuple[Factors, Factors] | None = None

    def fit(self, confidences: csr_matrix, settings: AlsSettings) -> tuple[Factors, Factors]:
        """Returns factors float32 (users, d) and (sources, d) of confidences (users, sources). Raises TrainError.

        The same start or seed, data and threads return the same factors bit for bit.
        """
        from implicit.recommender_base import ModelFitError  # a second to import, and only training needs it

        iterations = settings.warm_iterations if self.start else settings.iterations
        with threadpool_limits(1, "blas"):  # BLAS threads under the trainer's own threads cost 10x
            model = _model(
                settings.factors,
                settings.regularization * noise_level(confidences),
                settings.threads,
                iterations=iterations,
                calculate_training_loss=False,
                random_state=settings.seed,
            )
            start = self.start or spectral_start(confidences, settings.factors, settings.seed)
            model.user_factors, model.item_factors = start

            def report(iteration: int, seconds: float, _loss: float | None) -> None:
                if self.on_iteration:
                    self.on_iteration(iteration + 1, seconds, model.user_factors, model.item_factors)

            try:
                model.fit(confidences, show_progress=False, callback=report)
            except ModelFitError as error:
                raise _diverged(settings) from error
        for factors in (model.user_factors, model.item_factors):
            _check_finite(factors, settings)
        return model.user_factors, model.item_factors


@dataclass(frozen=True, eq=False)
class HalfStep:
    """Solves one side of an alternation exactly: the best vectors of rows, given the other side's factors and λ."""

    factors: Factors
    regularization: float
    """λ in absolute terms."""
    threads: int

    def solve(self, confidences: csr_matrix) -> Factors:
        """Returns x = (YᵀY + Yᵀ(C − I)Y + λI)⁻¹ YᵀC·1 for each row of confidences (rows, n), float32 (rows, d).

        Hu, Koren, Volinsky 2008, by Cholesky. A row whose columns are all zero vectors is zero. Raises TrainError.
        """
        with threadpool_limits(1, "blas"):
            try:
                solved: Factors = self._model.recalculate_user(np.arange(confidences.shape[0]), confidences)
            except ValueError as error:
                raise TrainError(f"a half step has no solution ({error}); raise train.regularization") from error
        return solved

    @cached_property
    def _model(self) -> Any:
        model = _model(self.factors.shape[1], self.regularization, self.threads)
        model.item_factors = self.factors
        return model


def _model(factors: int, regularization: float, threads: int, **more: Any) -> Any:
    from implicit.cpu.als import AlternatingLeastSquares

    # alpha is in the confidences already; the library would copy the matrix
    return AlternatingLeastSquares(factors, regularization, alpha=1.0, num_threads=threads, **more)


def _check_finite(factors: Factors, settings: AlsSettings) -> None:
    # A sum is not finite as soon as one term is not, and needs no array of flags.
    if not all(np.isfinite(factors[:, column].sum(dtype=np.float64)) for column in range(factors.shape[1])):
        raise _diverged(settings)


def _diverged(settings: AlsSettings) -> TrainError:
    return TrainError(
        f"training returned NaN or infinite factors (alpha {settings.alpha:g}, regularization "
        f"{settings.regularization:g}); raise train.regularization, lower train.alpha, or look for extreme weights"
    )
