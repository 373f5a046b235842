"""The root of every error this product raises on purpose.

    DiscoveryError            exit code 1: what, where, what to do
    ├── ConfigError           exit code 2: the YAML, the command line or the environment is wrong
    └── NotYet                exit code 75: come back later (the scheduler retries)

Each room draws a tree of its own below these.
"""


class DiscoveryError(Exception):
    """A fault with a message for a person: what happened, where, and what to do about it."""

    exit_code = 1


class ConfigError(DiscoveryError):
    """The configuration, the command line or the environment cannot be used as it is."""

    exit_code = 2


class NotYet(DiscoveryError):
    """Something that is expected to arrive has not: the scheduler should try again later."""

    exit_code = 75
