"""Every fingerprint of the product: SHA-256 in hexadecimal, by which files, settings and documents are told apart.

Some are kept by their first 8, 16 or 32 digits; these lengths lie in run folders, in MLflow and in Kafka, and stay.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def sha256_of(content: str | bytes) -> str:
    """Returns the SHA-256 of bytes, or of a text as UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def sha256_of_chunks(chunks: Iterable[bytes]) -> str:
    """Returns the SHA-256 of a content that comes in pieces, which are never held together."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def digest_of_json(tree: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a JSON object, whatever its order and spaces."""
    return sha256_of(json.dumps(tree, sort_keys=True, separators=(",", ":")))


def digest_of_inputs(inputs: Iterable[tuple[object, str]]) -> str:
    """Returns 32 digits for what was read: (name or day, fingerprint) in their order."""
    return sha256_of("".join(f"{name}={fingerprint};" for name, fingerprint in inputs))[:32]
