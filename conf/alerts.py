"""Who is told when a run stops and a person must act; no part of a run, so not of its hash and its manifest."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from conf.base import Strict, Whole


def check_webhook(address: SecretStr) -> SecretStr:
    """Returns the address; raises ValueError, without any part of it, unless it is one of a web server."""
    text = address.get_secret_value()
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web = False
    if not is_web or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("is no address of a web server; write https://host/path, with other characters as %XX")
    return address


Webhook = Annotated[SecretStr, AfterValidator(check_webhook)]
"""An address of a web server, which may hold a password or token and is never shown."""


class AlertSettings(Strict):
    """Who is told when a gate stops a run: docs/operate.md. Nothing here changes a run, and no run keeps it."""

    webhook: Webhook | None = None
    """Address that gets the alert as JSON by POST, e.g. a chat's incoming webhook; null: the environment variable
    ALERTS_WEBHOOK, if it is set. One with a token belongs there."""
    command: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Program and arguments, started without a shell: gets the alert as JSON on stdin, its first line as the
    environment variable DISCOVERY_ALERT."""
    timeout_seconds: Whole = Field(default=30, ge=1, le=600)
    """Seconds that each of both may take; after them the run ends without it."""
