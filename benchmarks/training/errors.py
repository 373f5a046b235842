"""What a benchmark of training can run into."""

from conf.errors import DiscoveryError


class TrainingBenchError(DiscoveryError):
    """A process that was measured ended too early, or ours and the rival did not come to the same."""
