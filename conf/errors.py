"""The root of every error this product raises on purpose.

    DiscoveryError            exit code 1: what, where, what to do; trying again may help
    ├── Refused               exit code 2: trying again meets the same input and is refused again
    │   └── ConfigError       the YAML, the command line or the environment is wrong
    └── NotYet                exit code 75: come back later (the scheduler retries)

Each room draws a tree of its own below these.
"""


class DiscoveryError(Exception):
    """An error with a message for a person: what happened, where, and what to do."""

    exit_code = 1


class Refused(DiscoveryError):
    """The input cannot be used as it is; trying again does not help."""

    exit_code = 2


class ConfigError(Refused):
    """The configuration, command line or environment is wrong."""


class NotYet(DiscoveryError):
    """Expected input has not arrived yet; the scheduler should retry later."""

    exit_code = 75
