"""Compiles the inner loops of this package and keeps the machine code on disk.

numba keeps the code of a function for as long as the file of that function is unchanged, and does not notice changes in
functions of other files, or in constants, that became part of it. So the names under which code is kept hold a digest
of the whole package: outdated code is never found.
"""

import zlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypeVar, cast

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])


_SOURCES = sorted((file.name, file.read_bytes()) for file in files(__package__).iterdir() if file.name.endswith(".py"))
_DIGEST = f"{zlib.crc32(repr(_SOURCES).encode()):08x}"


def _njit(function: _Function, **options: Any) -> Any:
    function.__qualname__ += f"-{_DIGEST}"
    return cast(Any, njit)(cache=True, error_model="numpy", _nrt=False, **options)(function)


def compiled(function: _Function) -> _Function:
    """Compiles a function at its first call, without reordering floating-point operations; cached on disk.

    It must not create arrays: numba's reference counting is off, because two atomic operations per array and call cost
    more than the scores.
    """
    return cast(_Function, _njit(function))


def inlined(function: _Function) -> _Function:
    """Compiles like `compiled`, but into each caller: a call would pass arrays field by field, which takes 10 ns."""
    return cast(_Function, _njit(function, inline="always"))


def reordered(function: _Function) -> _Function:
    """Compiles like `compiled`, but sums and maxima of finite numbers may be reordered, and so vectorised."""
    return cast(_Function, _njit(function, fastmath={"reassoc", "nnan", "nsz"}))
