"""Errors of the quality benchmark."""

from conf.errors import DiscoveryError


class QualityError(DiscoveryError):
    """The table cannot be used, or something that judging needs is missing."""
