"""The name of a surface: the place in an app where lists are looked up and shown. Standard library only."""

import re

MAX_SURFACE = 64
"""Longest name in bytes."""
DEFAULT_SURFACE = "default"
"""The surface of whoever names none."""
SURFACE_PATTERN = f"[a-z0-9_.-]{{1,{MAX_SURFACE}}}"
"""Regular expression of a whole name, for Python and Java."""
SURFACE_RULE = f"1 … {MAX_SURFACE} of a-z, 0-9, _ . -"
"""The same in words, for messages."""


_WHOLE = re.compile(SURFACE_PATTERN)


def is_surface(name: str) -> bool:
    """Returns whether this may be the name of a surface."""
    return _WHOLE.fullmatch(name) is not None
