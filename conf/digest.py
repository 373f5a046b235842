"""SHA-256 fingerprints in hexadecimal, of files, settings and documents.

Some callers keep only the first 8, 16 or 32 digits; these lengths are stored in run folders, MLflow and Kafka and must
not change.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def sha256_of(content: str | bytes) -> str:
    """Returns the SHA-256 of bytes, or of a text encoded as UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def sha256_of_chunks(chunks: Iterable[bytes]) -> str:
    """Returns the SHA-256 of chunked content without joining the chunks."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def digest_of_json(tree: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a JSON object, independent of key order and spaces."""
    return sha256_of(json.dumps(tree, sort_keys=True, separators=(",", ":")))


def digest_of_inputs(inputs: Iterable[tuple[object, str]]) -> str:
    """Returns 32 digits for the inputs that were read: (name or day, fingerprint), in this order."""
    return sha256_of("".join(f"{name}={fingerprint};" for name, fingerprint in inputs))[:32]
