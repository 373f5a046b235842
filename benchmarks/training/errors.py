"""Errors of the training benchmark."""

from conf.errors import DiscoveryError


class TrainingBenchError(DiscoveryError):
    """A measured process ended too early, or ours and the rival computed different results."""
