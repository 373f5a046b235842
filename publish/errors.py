"""Errors on the way from a snapshot to a reader.

PublishError(DiscoveryError)     exit code 1 unless stated otherwise
├── SnapshotRefused              the snapshot, or a row of it, breaks a rule and must not be sent
├── MalformedMessage             a record or a stored value cannot be read
│   └── UnknownMessage           intact, but of a kind or codec this version does not know
├── BrokerUnreachable            Kafka does not answer, or refuses us
├── TopicMismatch                exit code 2: the topic exists with other properties than in the settings
├── DeliveryError                not every record was acknowledged
├── StoreUnreachable             Redis does not answer, or refuses us
├── StoreRefused                 Redis is set up so that it would lose data, or has no room
├── UnknownRun                   there is no run of this name
├── RunRefused                   a run, or an operator's command, breaks a rule
├── LetterRefused                exit code 2: a dead letter does not exist, or sending it again cannot help
├── RunFault                     work on one run fails because of that run; other runs continue
├── PointerMoved                 another process changed the pointer meanwhile
├── PointerUnreadable            the pointer is of another version, or damaged
├── NotPromoted                  the run does not serve
│   ├── RunHeld                  exit code 3: complete, but an operator must act
│   ├── RunFailed                exit code 4: the run is FAILED; the run before is served
│   ├── NotRestored              exit code 4: a lost Redis could not be rebuilt; nothing serves
│   └── DeadlinePassed           exit code 5: neither happened in time
├── LeaseHeld                    another run of the product is under way
├── LeaseLost                    this run's lease could not be renewed; it must stop
└── ReadError                    a look-up has no answer
    ├── Unavailable              nothing is published, or Redis lost it
    ├── BadUserId                the id cannot be one of this product
    └── BadLookup                a look-up's other words (n, surface, an excluded id) cannot be answered
"""

from conf.errors import DiscoveryError


class PublishError(DiscoveryError):
    """An error on the way from the snapshot to the reader."""


class SnapshotRefused(PublishError):
    """The snapshot breaks a rule that readers rely on; nothing of it may be sent."""


class MalformedMessage(PublishError):
    """A record or stored value that cannot be read; `reason` is short and contains no payload."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownMessage(MalformedMessage):
    """An intact record of a kind or codec that this version does not know: upgrade, do not skip."""


class BrokerUnreachable(PublishError):
    """Kafka cannot be reached or refuses the client."""


class TopicMismatch(PublishError):
    """A topic of the product exists with other properties than the settings ask for."""

    exit_code = 2


class DeliveryError(PublishError):
    """Not every record of a partition was acknowledged by the broker."""


class StoreUnreachable(PublishError):
    """Redis cannot be reached or refuses the client."""


class StoreRefused(PublishError):
    """Redis is configured so that it could lose lists, or what must fit does not."""


class UnknownRun(PublishError):
    """The run is not in the registry."""


class RunRefused(PublishError):
    """A run, or an operation on it, breaks a rule; the message says which one and what to do."""


class LetterRefused(PublishError):
    """The dead letter does not exist, or cannot be sent again; the message says what to do."""

    exit_code = 2


class RunFault(PublishError):
    """Work on one run cannot continue because of that run itself; where possible it has been set to FAILED."""


class PointerMoved(PublishError):
    """The pointer has another revision than the one the change was based on; read it again."""


class PointerUnreadable(PublishError):
    """The pointer's key holds a value that this version cannot read."""


class NotPromoted(PublishError):
    """The run does not serve; the subclass says why."""


class RunHeld(NotPromoted):
    """The run is complete, and only an operator can let it serve: a hold is set, or it cannot be compared."""

    exit_code = 3


class RunFailed(NotPromoted):
    """The run is FAILED; what served before still does."""

    exit_code = 4


class NotRestored(NotPromoted):
    """What served before Redis was lost cannot be loaded again; nothing serves."""

    exit_code = 4


class DeadlinePassed(NotPromoted):
    """The run neither served nor failed within its deadline."""

    exit_code = 5


class LeaseHeld(PublishError):
    """Another run of the product holds its lease."""


class LeaseLost(PublishError):
    """The lease lapsed or was taken over; this run must stop before it changes anything."""


class ReadError(PublishError):
    """A look-up that has no answer."""


class Unavailable(ReadError):
    """Nothing is published for the product, or the store lost it."""


class BadUserId(ReadError):
    """A user id that no user of this product can have."""


class BadLookup(ReadError):
    """What a look-up asks for cannot be: no source at all, a surface without a name, an excluded id of another kind."""
