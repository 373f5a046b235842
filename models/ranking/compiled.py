"""How this package compiles its inner loops, and keeps the result on disk.

numba keeps the code of a function for as long as the file of that function stays as it is, and does not see that a
function of another file, or a constant, has become part of it. So the names under which code is kept hold a digest of
the whole package: code that is out of date is never found.
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
    """Returns the function compiled at its first call, without reordering of floating-point operations, and kept on
    disk.

    It must not make arrays: numba's counting of references to them is off, which cost more than the scores
    (two atomic operations for each array in each call).
    """
    return cast(_Function, _njit(function))


def inlined(function: _Function) -> _Function:
    """Compiled like `compiled` into each of its callers: a call would hand over arrays field by field, 10 ns in all."""
    return cast(_Function, _njit(function, inline="always"))


def reordered(function: _Function) -> _Function:
    """Compiled like `compiled`, but sums and maxima of finite numbers may be taken in any order, so in vectors."""
    return cast(_Function, _njit(function, fastmath={"reassoc", "nnan", "nsz"}))
