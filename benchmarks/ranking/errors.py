"""Errors of the ranking benchmark."""

from conf.errors import DiscoveryError


class RankingBenchError(DiscoveryError):
    """Factors, data or an optional library are missing, or a worker ended too early."""
