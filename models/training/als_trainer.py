"""The trainer `als`: confidences, a cold or a warm start, alternations by `implicit`, constants for later users."""

from typing import ClassVar

from conf.training import AlsSettings
from models.training.als import ImplicitAls
from models.training.confidences import fixed_confidences
from models.training.trainer import Bounds, OnIteration, Trained, Trainer, TrainingData
from models.training.warm import WarmStart, initial_factors


class AlsTrainer(Trainer[AlsSettings]):
    """Weighted alternating least squares on this machine."""

    bounds: ClassVar = {  # good settings of many data sets; their units adapt to the data
        "alpha": Bounds(0.2, 2.0, is_logarithmic=True),
        "regularization": Bounds(0.1, 1.0, is_logarithmic=True),
        "source_damping": Bounds(0.2, 0.6),
        "user_damping": Bounds(0.2, 0.8),
        "iterations": Bounds(2, 10),
    }

    def dimensions(self, settings: AlsSettings) -> int:
        """Returns `train.factors`."""
        return settings.factors

    def fit(
        self, data: TrainingData, settings: AlsSettings, start: WarmStart | None, on_iteration: OnIteration
    ) -> Trained:
        """Trains as Trainer describes; continues from `start` if it fits."""
        confidences, constants = fixed_confidences(data.weights, settings)
        initial = initial_factors(start, data.users, data.sources, confidences, constants.regularization, settings)
        factors = ImplicitAls(on_iteration, initial.factors).fit(confidences, settings)
        iterations = settings.warm_iterations if initial.factors else settings.iterations
        return Trained(*factors, iterations, initial, constants)

    def cold_every(self, settings: AlsSettings) -> int:
        """Returns `train.cold_every`."""
        return settings.cold_every
