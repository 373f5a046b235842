"""Chooses the forms of the walk that this CPU can run."""

import llvmlite.binding as llvm

from models.ranking import walk_portable, walk_simd
from models.ranking.block import Walk

_NEEDED = ("avx512f", "avx512bw", "avx512vl", "avx512vnni")


def walks() -> dict[str, Walk]:
    """Returns the walks by name; `walk_simd` only if the CPU has its instructions, or LLVM would end the process."""
    features = llvm.get_host_cpu_features()
    portable: dict[str, Walk] = {"portable": walk_portable.walk}
    return portable | ({"simd": walk_simd.walk} if all(features.get(name) for name in _NEEDED) else {})


FORMS = walks()
"""The walks that this CPU can run, by name; they give the same lists."""

PORTABLE = FORMS["portable"]
FASTEST = FORMS.get("simd", PORTABLE)
