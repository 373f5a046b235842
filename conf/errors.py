"""The root of every error this product raises on purpose.

    DiscoveryError            exit code 1: what, where, what to do; trying again may help
    ├── Refused               exit code 2: trying again meets the same input and is refused again
    │   └── ConfigError       the YAML, the command line or the environment is wrong
    └── NotYet                exit code 75: come back later (the scheduler retries)

Each room draws a tree of its own below these.
"""


class DiscoveryError(Exception):
    """A fault with a message for a person: what happened, where, and what to do about it."""

    exit_code = 1


class Refused(DiscoveryError):
    """The input, as it is, must not or cannot be used; only a change of it helps."""

    exit_code = 2


class ConfigError(Refused):
    """The configuration, the command line or the environment cannot be used as it is."""


class NotYet(DiscoveryError):
    """Something that is expected to arrive has not: the scheduler should try again later."""

    exit_code = 75
