"""Why a request has no answer, as a status, a word for programs and a sentence for people."""

import logging

from publish.errors import BadLookup, BadUserId, MalformedMessage, StoreUnreachable, Unavailable

_LOG = logging.getLogger(__name__)

RETRY_SECONDS = 1
"""What Retry-After says: what keeps the service from answering is asked for again about as often."""


class Problem(Exception):
    """A request that is refused, or cannot be answered now."""

    def __init__(self, status: int, word: str, message: str, *, allow: str = "") -> None:
        super().__init__(message)
        self.status, self.word, self.message, self.allow = status, word, message, allow

    @property
    def may_be_repeated(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status in (429, 503)


def problem_of(error: Exception) -> Problem:
    """Returns the problem that an error is for who asked; logs an error that nobody expected."""
    match error:
        case Problem():
            return error
        case BadUserId():
            return Problem(400, "bad_user", str(error))
        case BadLookup():
            return Problem(400, "bad_lookup", str(error))
        case Unavailable():
            return Problem(503, "unavailable", str(error))
        case StoreUnreachable():
            return Problem(503, "redis", f"{error}; serve your own default")
        case MalformedMessage():
            return Problem(503, "unreadable", f"{error}; serve your own default")
    _LOG.error("error     a look-up failed", exc_info=error)
    return Problem(500, "internal", "the service failed; its log says how")
