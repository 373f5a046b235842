"""What can be wrong with what is to be judged."""

from conf.errors import DiscoveryError


class QualityError(DiscoveryError):
    """The table cannot be judged by, or something needed for it is not there."""
