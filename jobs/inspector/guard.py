"""What every answer of the inspector has, and which requests it takes: GET, by a name that this server goes by."""

import ipaddress
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine to itself."""
_METHODS = ("GET", "HEAD")
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing runs, and nothing is fetched but the one stylesheet."""
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""A page may replace its content policy; it never has none."""


class Guard:
    """An application behind these rules: the answer to anything else is short and says why."""

    def __init__(self, app: ASGIApp, names: Collection[str], *, any_address: bool) -> None:
        """`names`: by which a browser may call this server; `any_address`: by a bare address too.

        A page of somebody else whose name suddenly means this machine (DNS rebinding) calls it by that name.
        """
        self._app, self._names, self._any_address = app, {name.lower() for name in names}, any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if not self._is_ours(Headers(scope=scope).get("host", "")):
            return PlainTextResponse("this server does not go by that name; see --allow-host\n", 421)
        if scope["method"] not in _METHODS:
            return PlainTextResponse("pages are read only: GET\n", 405, {"allow": ", ".join(_METHODS)})
        return None

    def _is_ours(self, host: str) -> bool:
        name = host_name(host)
        return name in self._names or (self._any_address and _is_address(name))


def host_name(host: str) -> str:
    """Returns the name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = _completed(message)
        await send(message)

    return send_with_headers


def _completed(message: MutableMapping[str, Any]) -> Message:
    given = message.get("headers", [])
    there = {name.lower() for name, _ in given}
    ours = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in there]
    return {**message, "headers": [*given, *ours]}
