"""Reads YAML strictly: what YAML readers interpret differently is refused, with its line.

Refused are duplicate keys in a mapping, keys that are not text, numbers in other than decimal notation (`010`, `1:30`,
`0x1F`, `1_000`), tags, and anchors that expand to too many values. A date is text. `yes`, `no`, `on` and `off` are
booleans, which settings refuse in place of a number or text.

Standard library and yaml only: `dags/strict_yaml.py` is a link to this file, so both environments read alike.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]
"""Keys and list indexes that lead to a value."""

_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR, _MERGE = (
    f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str", "merge")
)
_ODD = f"{_TAG}odd"
_PLAIN = {  # tag → pattern; the first match determines the type of a scalar without quotes
    _NULL: re.compile(r"~|null|Null|NULL|"),
    _BOOL: re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE"),
    _MERGE: re.compile(r"<<"),
    _INT: re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    _ODD: re.compile(
        r"[-+]?(0[0-9_]+|0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+"  # octal, hexadecimal, binary
        r"|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"  # in base 60
        r"|(?=[^_]*_)\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?)"  # with _
    ),
    _FLOAT: re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
}
_MOST_VALUES = 100_000
"""Most values in a document; those of an anchor count at each use."""


class YamlError(ValueError):
    """The text is not YAML or is ambiguous; the message names the line and what to write."""


@dataclass(frozen=True)
class Place:
    """The place of a value in the text."""

    line: int
    """From 1."""
    written: str | None
    """A scalar without quotes as it is written; None for anything else."""


@dataclass(frozen=True)
class Document:
    """A parsed YAML text: its values, and their places by key path."""

    tree: dict[str, Any]
    places: Mapping[KeyPath, Place]


def read_yaml(text: str) -> Document:
    """Returns the document in a text; raises YamlError, also if it is not a mapping."""
    try:
        node = _Loader(text).get_single_node()
        reader = _Reader()
        tree = reader.value(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        where = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise YamlError(f"is not YAML: {where}{what}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise YamlError("is nested too deeply, or an anchor holds itself; write it flat") from None
    if not isinstance(tree, dict):
        raise YamlError(f"must hold keys and values, holds {type(tree).__name__}")
    return Document(tree, reader.places)


def write_yaml(tree: Mapping[str, Any]) -> str:
    """Returns YAML that `read_yaml` reads back as the same mapping."""
    return str(yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


class _Plain(yaml.resolver.BaseResolver):
    """Resolves scalars without quotes by `_PLAIN`."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return next((tag for tag, pattern in _PLAIN.items() if pattern.fullmatch(value)), _STR)
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


class _Loader(_Plain, yaml.SafeLoader):
    """Composes nodes, and refuses tags."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise YamlError(f"line {event.start_mark.line + 1}: tags such as {event.tag} are not read; leave it out")
        return super().compose_node(parent, index)


class _Dumper(_Plain, yaml.SafeDumper):
    """Quotes every text that would otherwise be read as another type."""


class _Reader:
    """Converts nodes to values and records their places."""

    def __init__(self) -> None:
        self.places: dict[KeyPath, Place] = {}
        self._values = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """Returns the value of a node, and records the places below `path`."""
        self._values += 1
        if self._values > _MOST_VALUES:
            raise YamlError(f"{_line(node)} holds more than {_MOST_VALUES:,} values with all that anchors repeat")
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        self.places[path] = Place(node.start_mark.line + 1, node.value if plain else None)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, (*path, at)) for at, one in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        first: dict[str, int] = {}
        for key, _ in node.value:
            name = _key(key)
            if name in first:
                raise YamlError(
                    f"{_line(key)} the key {name!r} stands twice, first in line {first[name]}, and one of both would "
                    "be lost; put them together"
                )
            first[name] = key.start_mark.line + 1
        mapping: dict[str, Any] = {}
        for key, value in sorted(node.value, key=lambda pair: pair[0].tag != _MERGE):  # own keys win over merged ones
            if key.tag == _MERGE:
                mapping |= self._merged(value, path)
            else:
                mapping[key.value] = self.value(value, (*path, key.value))
        return mapping

    def _merged(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        """Returns the merged keys of a mapping or of a list of mappings, in which earlier ones win."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in reversed(parts):
            if not isinstance(part, yaml.MappingNode):
                raise YamlError(f"{_line(part)} << needs an anchor of a mapping")
            merged |= self.value(part, path)
        return merged


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise YamlError(f"{_line(node)} a key is a list or a mapping; a key is text")
    if node.tag not in (_STR, _MERGE):
        kinds = {_NULL: "null", _BOOL: "a truth value"}
        what = kinds.get(node.tag, "a number")
        raise YamlError(
            f'{_line(node)} the key {node.value} is {what} to YAML; quote it if it is a name: "{node.value}"'
        )
    return str(node.value)


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    if node.tag == _ODD:
        raise YamlError(
            f"{_line(node)} {text} is no decimal number, and YAML readers interpret it differently; "
            "write it in decimal digits, or quote it if it is text"
        )
    if node.tag == _BOOL:
        return text.lower() in ("true", "yes", "on")
    if node.tag in (_INT, _FLOAT):
        return _number(node)
    return None if node.tag == _NULL else text


def _number(node: yaml.Node) -> int | float:
    if node.tag == _FLOAT:
        return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
    try:
        return int(node.value)
    except ValueError:  # Python limits the number of digits
        raise YamlError(f"{_line(node)} a number has {len(node.value):,} digits; quote it if it is text") from None


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}:"
