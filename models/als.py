"""Trainers: confidences in, factors out. The library behind them stays behind this module."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from conf.settings import TrainSettings
from models.confidences import noise_level
from models.errors import TrainError
from models.spectral import Factors as Factors
from models.spectral import spectral_start

OnIteration = Callable[[int, float], None]
"""Told after each iteration: its number from 1, and its seconds."""


class Trainer(Protocol):
    """Anything whose score of a pair is the inner product of a user's and a source's vector."""

    def fit(self, confidences: csr_matrix, settings: TrainSettings) -> tuple[Factors, Factors]:
        """Factors float32 (users, d) and (sources, d) of confidences (users, sources); raises TrainError."""
        ...


@dataclass(frozen=True)
class ImplicitAls:
    """Alternating least squares by conjugate gradients (Takács, Pilászy, Tikk 2011) from the library `implicit`."""

    on_iteration: OnIteration | None = None

    def fit(self, confidences: csr_matrix, settings: TrainSettings) -> tuple[Factors, Factors]:
        """See Trainer; the same seed, data and threads give the same factors bit for bit."""
        from implicit.cpu.als import AlternatingLeastSquares  # a second to import, and only training needs it
        from implicit.recommender_base import ModelFitError

        with threadpool_limits(1, "blas"):  # BLAS threads under the trainer's own threads cost 10x
            model = AlternatingLeastSquares(
                factors=settings.factors,
                regularization=settings.regularization * noise_level(confidences),
                alpha=1.0,  # the confidences hold it: the library would copy the matrix
                iterations=settings.iterations,
                calculate_training_loss=False,
                num_threads=settings.threads,
                random_state=settings.seed,
            )
            model.user_factors, model.item_factors = spectral_start(confidences, settings.factors, settings.seed)
            try:
                model.fit(confidences, show_progress=False, callback=self._report)
            except ModelFitError as error:
                raise _diverged(settings) from error
        for factors in (model.user_factors, model.item_factors):
            _check_finite(factors, settings)
        return model.user_factors, model.item_factors

    def _report(self, iteration: int, seconds: float, _loss: float | None) -> None:
        if self.on_iteration:
            self.on_iteration(iteration + 1, seconds)


def _check_finite(factors: Factors, settings: TrainSettings) -> None:
    # A sum is not finite as soon as one term is not, and needs no array of flags.
    if not all(np.isfinite(factors[:, column].sum(dtype=np.float64)) for column in range(factors.shape[1])):
        raise _diverged(settings)


def _diverged(settings: TrainSettings) -> TrainError:
    return TrainError(
        f"training gave factors that are no numbers (alpha {settings.alpha:g}, regularization "
        f"{settings.regularization:g}); raise train.regularization, lower train.alpha, or look for extreme weights"
    )
