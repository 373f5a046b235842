"""The hook that tells a person: a webhook, a command, or both; neither may take long, and no message shows a secret."""

import base64
import html
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import SecretStr

from conf.alerts import AlertSettings
from expectations.deadline import within
from expectations.errors import GateTimeout

LIMIT = "alerts.timeout_seconds"
_FIRST_LINE = "DISCOVERY_ALERT"
"""Environment variable of a command."""
_SHORT = re.compile(r"[a-z_ ]{1,60}", re.IGNORECASE | re.ASCII)
"""What a chat answers when it refuses: a word like no_service. A longer answer may repeat the address."""
_URL = re.compile(r"\S+://\S+")
_LONGEST = 200
_LONGEST_LINE = 2_000


class NotSent(Exception):
    """The hook failed; the message says why, without a secret."""


@dataclass(frozen=True)
class Sent:
    """A call of one hook: whom it tells, as it may be shown, and why it failed, if it did."""

    to: str
    fault: str | None = None


@dataclass(frozen=True, repr=False)
class Hook:
    """Who is told of a product's alerts."""

    settings: AlertSettings
    webhook: SecretStr | None
    """Of the settings or, without one there, of the environment."""

    @classmethod
    def of(cls, settings: AlertSettings, installation: SecretStr | None) -> "Hook":
        """Returns the hook of a product; installation: the webhook of products that name none."""
        return cls(settings, settings.webhook or installation)

    @property
    def places(self) -> Sequence[str]:
        """Whom it tells, as it may be shown; empty: nobody."""
        return [place for place, _ in self._ways()]

    def tell(self, document: Mapping[str, Any]) -> Sequence[Sent]:
        """Sends the document to everybody, and returns how that went; raises nothing but KeyboardInterrupt."""
        return [_tried(place, way, document) for place, way in self._ways()]

    def _ways(self) -> list[tuple[str, Any]]:
        seconds, ways = self.settings.timeout_seconds, []
        if self.webhook is not None:
            address = self.webhook.get_secret_value()
            ways.append((_shown(address), lambda document: _post(address, document, seconds)))
        if command := self.settings.command:
            ways.append((f"the command {command[0]}", lambda document: _run(command, document, seconds)))
        return ways


def _tried(place: str, way: Any, document: Mapping[str, Any]) -> Sent:
    try:
        way(document)
    except NotSent as fault:
        return Sent(place, " ".join(str(fault).split()))
    return Sent(place)


class _NoRedirects(HTTPRedirectHandler):
    """Leaves a redirect an error: urllib would follow it with a GET, and the alert would be lost."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(address: str, document: Mapping[str, Any], seconds: int) -> None:
    """Posts the document as JSON; raises NotSent."""
    opener = build_opener(_NoRedirects)
    try:
        within(seconds, lambda: opener.open(_request(address, document), timeout=seconds).close(), LIMIT)
    except HTTPError as error:
        raise NotSent(f"it answered {error.code} {_word(error)}".strip()) from None
    except URLError as error:
        raise NotSent(_reason(error.reason if isinstance(error.reason, OSError) else error)) from None
    except GateTimeout as error:
        raise NotSent(str(error)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise NotSent(_reason(error)) from None


def _request(address: str, document: Mapping[str, Any]) -> Request:
    """Returns the request; a user and password in the address become a header, as urllib takes them for the host."""
    parts = urlsplit(address)
    credentials, _, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json", "User-Agent": "discovery"}
    if credentials:
        headers["Authorization"] = f"Basic {base64.b64encode(unquote(credentials).encode()).decode()}"
    text = html.escape(document["text"], quote=False)  # a chat would take <…> for a link or a call to everybody
    content = json.dumps({**document, "text": text}).encode()
    return Request(urlunsplit(parts._replace(netloc=host, fragment="")), content, headers, method="POST")


def _reason(error: object) -> str:
    """Returns what happened to a connection, without what a library may have put of the address into its words."""
    if isinstance(error, TimeoutError):
        return f"no answer in time ({LIMIT})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"no answer of a web server ({type(error).__name__})"


def _word(error: HTTPError) -> str:
    try:
        said = error.read(_LONGEST).decode("utf-8", "replace").strip()
    except (OSError, HTTPException):
        return ""
    return f"({said})" if _SHORT.fullmatch(said) else ""


def _shown(address: str) -> str:
    """Returns scheme and host: a path may be a token."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def _run(command: Sequence[str], document: Mapping[str, Any], seconds: int) -> None:
    """Runs the command with the document on stdin; raises NotSent.

    Files instead of pipes: neither a command that reads nothing nor a child that it leaves behind can block this.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(json.dumps(document).encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=said,
                stderr=said,
                env={**os.environ, _FIRST_LINE: document["text"].partition("\n")[0].replace("\0", "")[:_LONGEST_LINE]},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            said_by = error.strerror if isinstance(error, OSError) else type(error).__name__
            raise NotSent(f"it cannot be started ({said_by}); see alerts.command") from None
        code = _ended(process, seconds)
        if code != 0:
            raise NotSent(f"it ended with {code}{_last_line(said, command)}")


def _ended(process: subprocess.Popen[bytes], seconds: int) -> int:
    """Returns the exit code; whatever happens, the command does not outlive its time."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise NotSent(f"it had not ended after {seconds} s and was stopped ({LIMIT})") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _last_line(said: IO[bytes], command: Sequence[str]) -> str:
    """Returns the last thing that a command said, without addresses and its own arguments, which may be secret."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - 4096))
    *_, last = ["", *filter(str.strip, said.read().decode("utf-8", "replace").splitlines())]
    for argument in sorted(command[1:], key=len, reverse=True):
        last = last.replace(argument, "***")
    last = _URL.sub("***", last)
    return f": {last.strip()[:_LONGEST]}" if last else ""
