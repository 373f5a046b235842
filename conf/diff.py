"""Flattens settings and compares two of them."""

import json
from collections.abc import Mapping
from typing import Any

ABSENT = "–"


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns e.g. `{"train.seed": 7}` for `{"train": {"seed": 7}}`; lists and empty mappings are kept whole."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Returns flat name → both values as JSON, for names whose values differ; ABSENT for a missing value."""
    left, right = flattened(ours), flattened(theirs)
    names = [*left, *(name for name in right if name not in left)]
    pairs = {name: (_shown(left, name), _shown(right, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _shown(flat: Mapping[str, Any], name: str) -> str:
    return json.dumps(flat[name], default=str, ensure_ascii=False) if name in flat else ABSENT
