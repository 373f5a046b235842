"""Names that would run a script or break a page if a page took them for anything but text."""

from itertools import product

_BREAKS = ("", '"', "'", "-->", "</title>", "</style>", "]]>", "\x00", "\u202e", "&lt;")
"""What ends the place where a name stands."""
_RUNS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<svg onload="alert(1)"/>',
    " autofocus onfocus=alert(1) x=",
    "{{ 7 * 7 }}{% raw %}<a href='javascript:alert(1)'>",
)
HOSTILE = tuple(f"{ends}{runs}" for ends, runs in product(_BREAKS, _RUNS))
