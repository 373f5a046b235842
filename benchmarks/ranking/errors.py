"""What a benchmark of ranking can run into."""

from conf.errors import DiscoveryError


class RankingBenchError(DiscoveryError):
    """Factors, data or an optional library are missing, or a worker ended too early."""
