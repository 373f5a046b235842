"""What a request asks for: a user from the path, n, exclude and surface from the query, or a batch from the body.

Everything is checked here, before Redis is asked, and refused with one of a few words.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from conf.ids import ID_RULE, IdKind, is_id, parse_int64
from conf.serve import ServeSettings
from publish.errors import BadLookup
from publish.read.rules import DEFAULT_SURFACE, check_surface
from publish.serve.problems import Problem

LISTS = b"/v1/lists"
MOST_SOURCES = 1_000
"""Largest n; no list is longer (`lists.n`)."""
_N = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_PARAMETERS = ("n", "exclude", "surface")


class Asked(NamedTuple):
    """One look-up."""

    user_id: str
    exclude: Sequence[str] = ()
    n: int | None = None
    surface: str = DEFAULT_SURFACE


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: StrictStr
    exclude: list[StrictStr] = Field(default_factory=list)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    users: list[StrictStr | _Item] = Field(min_length=1)
    n: StrictInt | None = None
    exclude: list[StrictStr] = Field(default_factory=list)
    surface: StrictStr = DEFAULT_SURFACE


class RequestReader:
    """Reads requests about one product, within bounds."""

    def __init__(self, product: str, ids: IdKind, bounds: ServeSettings) -> None:
        self._product, self._ids, self._bounds = product, ids, bounds
        self._is_id: Callable[[str], object] = is_id if ids == "string" else _is_int64

    def asked(self, raw_path: bytes, query: bytes) -> Asked:
        """Returns the look-up of a GET; `raw_path` is as it was sent; raises Problem."""
        user_id = self._user(_text(raw_path[len(LISTS) + 1 :], "bad_user"))
        return Asked(user_id, *self._parameters(query)) if query else Asked(user_id)

    def batch(self, body: bytes) -> list[Asked | tuple[str, Problem]]:
        """Returns the look-up of each user of a POST, or the user as it was written, and what is wrong with it.

        Raises Problem for what makes all of them impossible.
        """
        try:
            found = _Body.model_validate_json(body)
        except ValidationError as error:
            raise Problem(400, "bad_body", f"the body: {_fault(error)}; {_EXAMPLE}") from None
        if len(found.users) > self._bounds.max_users:
            raise Problem(400, "bad_body", f"{len(found.users):,} users; ask for {self._bounds.max_users:,} at a time")
        n = None if found.n is None else _checked_n(str(found.n))
        common = self._exclude(found.exclude)
        surface = _checked_surface(found.surface)
        return [self._one(user, common, n, surface) for user in found.users]

    def _one(
        self, user: str | _Item, common: Sequence[str], n: int | None, surface: str
    ) -> Asked | tuple[str, Problem]:
        user_id, own = (user, ()) if isinstance(user, str) else (user.user_id, user.exclude)
        try:
            exclude = self._exclude([*common, *own]) if own else common
            return Asked(self._user(user_id), exclude, n, surface)
        except Problem as problem:
            return user_id, problem

    def _parameters(self, query: bytes) -> tuple[Sequence[str], int | None, str]:
        exclude: list[str] = []
        once: dict[str, str] = {}
        for part in query.split(b"&"):
            if not part:
                continue
            raw_name, _, raw_value = part.partition(b"=")
            name = _text(raw_name.replace(b"+", b" "), "bad_parameter")
            if name not in _PARAMETERS:
                raise Problem(
                    400, "bad_parameter", f"there is no parameter {name!r:.100}; known are {', '.join(_PARAMETERS)}"
                )
            value = _text(raw_value.replace(b"+", b" "), f"bad_{name}")
            if name == "exclude":
                exclude += value.split(",") if value else ()
            elif name in once:
                raise Problem(400, f"bad_{name}", f"{name} is given twice")
            else:
                once[name] = value
        n, surface = once.get("n"), once.get("surface")
        return (
            self._exclude(exclude),
            None if n is None else _checked_n(n),
            DEFAULT_SURFACE if surface is None else _checked_surface(surface),
        )

    def _user(self, text: str) -> str:
        if self._is_id(text):
            return text
        raise Problem(400, "bad_user", f"user {text!r:.100}: users of {self._product} have {self._rule}")

    def _exclude(self, texts: Sequence[str]) -> Sequence[str]:
        if len(texts) > self._bounds.max_exclude:
            raise Problem(
                400, "bad_exclude", f"{len(texts):,} excluded sources; at most {self._bounds.max_exclude:,} per user"
            )
        for text in texts:
            if not self._is_id(text):
                raise Problem(
                    400, "bad_exclude", f"excluded {text!r:.100}: sources of {self._product} have {self._rule}"
                )
        return texts

    @property
    def _rule(self) -> str:
        if self._ids == "string":
            return f"ids of {ID_RULE}"
        return "int64 ids, written without spaces, + or leading zeros"


def _is_int64(text: str) -> bool:
    return parse_int64(text) is not None


def _text(raw: bytes, word: str) -> str:
    """Returns percent-encoded UTF-8 as text; raises Problem for other bytes, which could be mistaken for another id."""
    try:
        return (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
    except UnicodeDecodeError:
        raise Problem(400, word, f"{raw!r:.100} is not UTF-8 when its %XX are decoded") from None


def _checked_n(text: str) -> int:
    if _N.fullmatch(text) and (n := int(text)) <= MOST_SOURCES:
        return n
    raise Problem(400, "bad_n", f"n is {text!r:.100}; it is a whole number from 1 to {MOST_SOURCES:,}")


def _checked_surface(text: str) -> str:
    try:
        return check_surface(text)
    except BadLookup as error:
        raise Problem(400, "bad_surface", str(error)) from None


_EXAMPLE = 'write {"users": ["42", {"user_id": "43", "exclude": ["7"]}], "n": 10}, ids as text'


def _fault(error: ValidationError) -> str:
    first: Any = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(place) for place in first["loc"] if place not in ("str", "_Item"))
    return f"{where}: {first['msg']}" if where else first["msg"]
