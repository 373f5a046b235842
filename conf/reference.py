"""Generates docs/config.md from the settings' docstrings: `python -m conf.reference > docs/config.md`.

Raises UndocumentedField for a field without a docstring, or a number whose docstring names no unit.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from jinja2 import Environment, PackageLoader
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from conf.base import format_bytes, parse_bytes
from conf.settings import Settings
from conf.share import Percent, Share

UNITS = re.compile(
    r"\b(days?|hours?|minutes?|seconds?|bytes|share|fraction|percent\w*|change|divergence|ratio|relative|power|units?"
    r"|weight|score|rows?|users?|sources?|interactions?|lists?|places?|partitions?|replicas?|replicates|iterations?"
    r"|requests?|connections?|alternations?|dimensions?|threads?|neighbours?|pairs|runs?|seed|NDCG\S*|events?|times|α|λ)\b",
    re.IGNORECASE,
)
"""Words of which the docstring of a number must contain one: what the number counts or measures."""

_SIGNS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


class Section(NamedTuple):
    """A settings class in the reference: its keys, its description, and a row for each field."""

    title: str
    text: str
    rows: Sequence[tuple[str, ...]]


class UndocumentedField(Exception):
    """A field of the settings lacks a docstring or a unit."""


def reference() -> str:
    """Returns the page as Markdown; raises UndocumentedField with every undocumented field."""
    if faults := list(_faults(Settings, "")):
        raise UndocumentedField("; ".join(faults))
    pages = Environment(loader=PackageLoader("conf", ""), trim_blocks=True)
    return pages.get_template("reference.j2").render(sections=_sections(Settings, (), ()))


def _description(model: type[BaseModel], name: str) -> str:
    """Returns the docstring of a field; "" without one."""
    return next((texts[name] for kind in model.__mro__ if name in (texts := _docstrings(kind))), "")


@cache
def _docstrings(kind: type) -> dict[str, str]:
    """Returns the docstrings below the fields of a settings class.

    They are read here, since pydantic's `use_attribute_docstrings` parses every file again whenever a process starts.
    """
    if not issubclass(kind, BaseModel) or kind is BaseModel:
        return {}
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for statements in pairwise(body.body):
        match statements:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found


def _faults(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{path}{name}"
        description = _description(model, name)
        if not description:
            yield f"{key} has no docstring"
        elif _is_number(field.annotation) and not UNITS.search(description):
            yield f"{key} is a number, and its docstring names no unit"
        for inner in _models_of(field.annotation):
            yield from _faults(inner, f"{key}.")


def _sections(model: type[BaseModel], paths: Sequence[str], fields: Sequence[str]) -> Iterator[Section]:
    """Yields the section of a settings class at one or several keys, then those of the classes in it."""
    plain = {name: field for name, field in model.model_fields.items() if not _models_of(field.annotation)}
    yield Section(
        title=", ".join(f"`{path}`" for path in paths) or "The product",
        text=" ".join([*(fields if len(fields) > 1 else ()), *(inspect.getdoc(model) or "").split()]),
        rows=[_row(model, name, field) for name, field in plain.items()],
    )
    for inner, some in _inner(model).items():
        keys = [f"{path}.{_key(name, field)}".lstrip(".") for path in paths or ("",) for name, field in some.items()]
        yield from _sections(inner, keys, [f"`{name}`: {_description(model, name)}" for name in some])


def _inner(model: type[BaseModel]) -> dict[type[BaseModel], dict[str, FieldInfo]]:
    """Returns the settings classes in a class, each with the fields that have it."""
    found: dict[type[BaseModel], dict[str, FieldInfo]] = {}
    for name, field in model.model_fields.items():
        for inner in _models_of(field.annotation):
            found.setdefault(inner, {})[name] = field
    return found


def _key(name: str, field: FieldInfo) -> str:
    return f"{name}.NAME" if get_origin(field.annotation) is dict else name


def _row(model: type[BaseModel], name: str, field: FieldInfo) -> tuple[str, ...]:
    return f"`{name}`", _values(field), _default(field), " ".join(_description(model, name).split())


def _values(field: FieldInfo) -> str:
    """Returns the type of a field and its bounds."""
    kind = "size" if _is_size(field) else _kind(field.annotation)
    bounds = [f"{sign} {value:,}" for part in field.metadata for word, sign in _SIGNS for value in _bound(part, word)]
    return ", ".join([kind, *bounds])


def _bound(part: object, word: str) -> list[int | float]:
    value = getattr(part, word, None)
    return [value] if isinstance(value, int | float) else []


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "*needed*"
    if value is None or isinstance(value, bool):
        return {None: "`null`", True: "`true`", False: "`false`"}[value]
    if isinstance(value, Share):
        return f"`{value.ratio}`"
    if isinstance(value, tuple | dict) and not value:
        return "none"
    if isinstance(value, tuple) and isinstance(value[0], Share):
        return f"`[{', '.join(f'{share.bp / 100:g}' for share in value)}]`"
    return format_bytes(value) if _is_size(field) else f"`{value}`"


def _is_size(field: FieldInfo) -> bool:
    return any(map(_parses_bytes, field.metadata))


def _parses_bytes(part: object) -> bool:
    return getattr(part, "func", None) is parse_bytes


def _kind(annotation: Any) -> str:
    """Returns the name of a type in terms of YAML."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation == Percent:
        return "number, ≥ 0, ≤ 100"
    if origin is Annotated:
        return "size" if any(map(_parses_bytes, args[1:])) else _kind(args[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in args)
    if origin in (Union, UnionType):
        return " or ".join("null" if arg is NoneType else _kind(arg) for arg in args)
    if origin is dict:
        return f"{_kind(args[0])} → {_kind(args[1])}"
    if origin is tuple:
        return f"list of {_kind(args[0])}"
    words = {
        int: "whole number",
        float: "number",
        str: "text",
        SecretStr: "text",
        bool: "true or false",
        Share: "number, ≥ 0, ≤ 1",
    }
    return words.get(annotation, str(annotation))


def _is_number(annotation: Any) -> bool:
    """Returns whether the type accepts numbers; for a mapping, whether its values do."""
    args = get_args(annotation)
    if get_origin(annotation) is dict:
        return _is_number(args[1])
    return annotation in (int, float, Share) or (str not in args and any(map(_is_number, args)))


def _models_of(annotation: Any) -> list[type[BaseModel]]:
    """Returns the settings classes in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for arg in get_args(annotation) for found in _models_of(arg)]


if __name__ == "__main__":
    sys.stdout.write(reference())
