"""Bounds of the look-up service; no part of a run, so not of its hash and its manifest."""

from pydantic import Field

from conf.base import Bytes, Number, Strict, Whole


class ServeSettings(Strict):
    """Bounds of `discovery serve`: docs/serve.md. All hold for one process; nothing here changes an answer."""

    redis_timeout_seconds: Number = Field(default=1.0, gt=0, le=600)
    """Seconds to wait for a reply of Redis, unless REDIS_URL has a `socket_timeout`; then the answer is 503."""
    max_in_flight: Whole = Field(default=512, ge=1, le=100_000)
    """Requests that are answered at once; further ones get 503 and Retry-After."""
    max_requests_per_second: Whole | None = Field(default=None, ge=1, le=1_000_000)
    """Look-up requests per second, with twice as many in a burst; further ones get 429 and Retry-After; null: no
    limit."""
    max_connections: Whole = Field(default=1_000, ge=1, le=1_000_000)
    """Connections of clients; further ones get 503 and are closed. Keep it below `ulimit -n`."""
    max_head_bytes: Bytes = 2**15
    """Bytes of a request's URL and headers; longer URLs get 414, more headers 431."""
    max_body_bytes: Bytes = 2**20
    """Bytes of a request's body; longer ones get 413."""
    max_exclude: Whole = Field(default=1_000, ge=0, le=1_000_000)
    """Excluded sources per user; with more the answer is 400."""
    max_users: Whole = Field(default=100, ge=1, le=100_000)
    """Users of one batch look-up; with more the answer is 400."""
    keep_alive_seconds: Whole = Field(default=75, ge=1, le=3600)
    """Seconds without a request after which a connection is closed; more than the proxy in front keeps its own."""
    drain_delay_seconds: Number = Field(default=3.0, ge=0, le=600)
    """Seconds between SIGTERM, when /readyz becomes 503, and the moment when no more connections are accepted: long
    enough for whoever asks /readyz to send requests elsewhere."""
    drain_seconds: Number = Field(default=20.0, ge=0, le=3600)
    """Seconds after that in which open connections may finish; each gets `Connection: close` with its next answer."""
