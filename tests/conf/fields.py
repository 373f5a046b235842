"""Every field of a product's settings by its path, and a product that has all of them."""

import copy
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from conf.settings import Settings

Path = tuple[str, ...]

_NAMES = {
    "events": "clicks",
    "event_weights": "like",
    "dag": "retries",
    "columns": "source_id",
    "drift": "users",
    "guardrails": "events",
}
"""The key that a `*` in a path stands for, below a field of this name."""
TREE: dict[str, Any] = {
    "product": "test",
    "schedule": "0 3 * * MON",
    "dag": {"retries": 2},
    "datasets": {
        "events": {"clicks": {"path": "clicks"}, "views": {"path": "views"}},
        **{name: {"path": name, "columns": {"source_id": "source"}} for name in ("subscriptions", "sources", "blocks")},
        "audience": {"path": "audience", "columns": {"source_id": "source"}},
        "impressions": {"path": "impressions"},
    },
    "interactions": {"event_weights": {"like": 1.0, "share": 3.0, "leave": -4.0, "glance": 0.0}},
    "gates": {"drift": {"users": "block"}},
    "rollout": {"ramp": {"guardrails": {"events": {"margin": 0.02}}}},
}


def fields_of(model: type[BaseModel] = Settings) -> Iterator[tuple[Path, Any]]:
    """The path of every field and what it may hold; `*` is any key of a mapping."""
    for name, field in model.model_fields.items():
        for below, kind in _below(field.annotation):
            yield (name, *below), kind


def changed(path: Path, value: Any) -> Settings:
    """The product with another value in a field; raises ValidationError."""
    tree = copy.deepcopy(TREE)
    at = tree
    for parent, name in zip(("", *path), path[:-1], strict=False):
        at = at.setdefault(_NAMES[parent] if name == "*" else name, {})
    at[_NAMES[path[-2]] if path[-1] == "*" else path[-1]] = value
    return Settings.model_validate(tree)


def _below(annotation: Any) -> Iterator[tuple[Path, Any]]:
    """Paths below a field, and what they may hold; the empty path where it is a value itself."""
    model = next((kind for kind in (annotation, *get_args(annotation)) if _is_model(kind)), None)
    if get_origin(annotation) is dict:
        yield from ((("*", *path), kind) for path, kind in _below(get_args(annotation)[1]))
    elif model is None:
        yield (), annotation
    else:
        yield from fields_of(model)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
