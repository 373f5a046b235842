"""The SHA-256 of a JSON object, by which settings, manifests and documents are told apart."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest_of_json(tree: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a JSON object in hexadecimal, whatever its order and spaces."""
    canonical = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
