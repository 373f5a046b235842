"""Reads a product's YAML and its overlays into `Settings`, and says clearly what is wrong with them."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from conf.errors import ConfigError
from conf.settings import Settings


def load_settings(config: Path, overlays: Sequence[Path] = ()) -> Settings:
    """The settings of `config` with each overlay merged over it, later ones winning; raises ConfigError."""
    tree = _read(config)
    for overlay in overlays:
        tree = _merge(tree, _read(overlay))
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        where = " + ".join(str(path) for path in (config, *overlays))
        raise ConfigError(f"{where}: " + "; ".join(_explain(detail) for detail in error.errors())) from None


def config_hash(settings: Settings) -> str:
    """First 16 hex digits of the SHA-256 of the settings as canonical JSON."""
    return tree_hash(settings.model_dump(mode="json"))


def tree_hash(settings: Mapping[str, Any]) -> str:
    """The same of settings as JSON, of whatever version of the code."""
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a product's YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: must hold keys and values, holds {type(tree).__name__}")
    return tree


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _explain(detail: ErrorDetails) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    if detail["type"] != "extra_forbidden":
        return f"{path or 'settings'}: {detail['msg'].removeprefix('Value error, ')} (got {_short(detail['input'])})"
    *parents, key = detail["loc"]
    near = difflib.get_close_matches(str(key), _known_keys(parents), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(_known_keys(parents))}"
    return f"unknown key {path!r}{hint}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _known_keys(parents: Sequence[int | str]) -> list[str]:
    model: Any = Settings
    for part in parents:
        annotation = model.model_fields[part].annotation if part in getattr(model, "model_fields", {}) else model
        model = _model_in(annotation)
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((_model_in(arg) for arg in getattr(annotation, "__args__", ()) if _model_in(arg)), None)
