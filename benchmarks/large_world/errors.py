"""Errors of this benchmark."""

from conf.errors import DiscoveryError


class LargeWorldError(DiscoveryError):
    """The world cannot be used, or what was served is not what was ranked."""
