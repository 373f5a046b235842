"""Loads a product's YAML and its overlays as `Settings`; errors say what is wrong in which line."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from conf.digest import digest_of_json
from conf.errors import ConfigError
from conf.settings import Settings
from conf.strict_yaml import Document, KeyPath, YamlError, read_yaml
from conf.training import settings_class

Files = Sequence[tuple[Path, Document]]
"""A product's YAML and its overlays; later ones override earlier ones."""

_SECRET = ("alerts",)
"""Where a text may be an address with a token or a password."""


def load_settings(config: Path, overlays: Sequence[Path] = ()) -> Settings:
    """Returns the settings of `config` overridden by each overlay in turn; raises ConfigError."""
    files = [(path, _read(path)) for path in (config, *overlays)]
    tree: dict[str, Any] = {}
    for _, document in files:
        tree = _merge(tree, document.tree)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(detail, files, tree) for detail in error.errors())) from None


def config_hash(settings: Settings) -> str:
    """Returns the first 16 hex digits of the SHA-256 of the settings as canonical JSON."""
    return tree_hash(settings.model_dump(mode="json"))


def tree_hash(settings: Mapping[str, Any]) -> str:
    """Returns the `config_hash` of settings as JSON, from any version of the code."""
    return digest_of_json(settings)[:16]


def _read(path: Path) -> Document:
    try:
        return read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a product's YAML") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not YAML: {error}") from None
    except YamlError as error:
        raise ConfigError(f"{path}: {error}") from None


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _explain(detail: ErrorDetails, files: Files, tree: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    where = _where(detail["loc"], files)
    if detail["type"] != "extra_forbidden":
        message = detail["msg"].removeprefix("Value error, ")
        return f"{where}: {path or 'settings'}: {message}{_got(detail, files)}"
    *parents, key = detail["loc"]
    known = _known_keys(parents, tree)
    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"
    return f"{where}: unknown key {path!r}{hint}"


def _where(path: KeyPath, files: Files) -> str:
    """Returns file and line of a value, or of the nearest one that contains it."""
    for length in range(len(path), 0, -1):
        for file, document in reversed(files):
            if place := document.places.get(path[:length]):
                return f"{file}: line {place.line}"
    return " + ".join(str(file) for file, _ in files)


def _got(detail: ErrorDetails, files: Files) -> str:
    """Returns the value as written in the file, with a hint where YAML reads it unexpectedly."""
    if detail["type"] == "missing" or (detail["loc"][:1] == _SECRET and not isinstance(detail["input"], int | float)):
        return ""
    value, places = detail["input"], (document.places.get(detail["loc"]) for _, document in reversed(files))
    written = next((place.written for place in places if place), None)
    got = written or _short(value)
    if isinstance(value, bool) and got.lower() not in ("true", "false"):
        got += ", a truth value to YAML"
    if detail["type"] == "string_type" and isinstance(value, bool | int | float):
        got += "; quote it if it is text"
    if detail["type"] in ("int_type", "float_type") and isinstance(value, str) and written is None:
        got += "; a number stands without quotes"
    return f" (got {got})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _known_keys(parents: Sequence[int | str], tree: Mapping[str, Any]) -> list[str]:
    model: Any = Settings
    for part in parents:
        annotation = model.model_fields[part].annotation if part in getattr(model, "model_fields", {}) else model
        model = _model_in(annotation)
    if parents == ["train"]:
        model = settings_class(tree["train"])
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((_model_in(arg) for arg in getattr(annotation, "__args__", ()) if _model_in(arg)), None)
