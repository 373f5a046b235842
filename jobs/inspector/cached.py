"""Folders of the local cache: who finds one finds it whole."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def placed(at: Path) -> Iterator[Path]:
    """Yields a new folder beside `at`, which is moved there when the block ends well."""
    part = at.with_name(f"{at.name}.{uuid.uuid4().hex}.part")
    part.mkdir(parents=True)
    try:
        yield part
        try:
            part.rename(at)
        except OSError:
            if not at.exists():  # another process may have been faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
