"""The screen in 8 bits, for CPUs with AVX-512 and VNNI. Elsewhere LLVM would end the process: see `forms`."""

from typing import Any

from llvmlite import ir
from numba import types

from models.ranking.llvm import I32, I64, INTS, Loop, bits_of, instruction, load, number, splat

USERS = 6
"""Users that are screened together: 6 × 4 vectors of sums, 4 of sources and one of a user use 29 of 32 registers."""

PANELS = 8
"""Panels whose bars are set together: one vector of float64 per user."""


@instruction
def screen(typing: Any, codes: Any, starts: Any, steps: Any, users: Any, bars: Any, masks: Any) -> Any:
    """Screens 6 users against the 64 sources of a panel. Returns the users' masks or-ed, uint64.

    All are addresses but `steps`, the number of steps of 4 coordinates. codes: int8 (steps, 64, 4) of the panel;
    starts: int32 (64), where its sums begin; users: 6 addresses of uint8 (steps, 4); bars: int32 (6, PANELS), of which
    the first column counts; masks: uint64 (6), written: bit s of mask u is set if start s + Σ user u · source s ≥ bar
    u.
    """

    def code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        codes, starts, steps, users, bars, masks = arguments
        multiply_add = builder.module.declare_intrinsic(
            "llvm.x86.avx512.vpdpbusd.512", (), ir.FunctionType(INTS, (INTS, INTS, INTS))
        )
        rows = [load(builder, users, number(8 * user), I64) for user in range(USERS)]
        loop = Loop(builder, steps, [load(builder, starts, number(64 * part), INTS) for part in range(4)] * USERS)
        panel = builder.add(codes, builder.shl(loop.round, number(8)))
        sources = [load(builder, panel, number(64 * part), INTS) for part in range(4)]
        sums = []
        for user in range(USERS):
            step = splat(builder, load(builder, rows[user], builder.shl(loop.round, number(2)), I32), INTS)
            for part in range(4):
                sums.append(builder.call(multiply_add, (loop.values[4 * user + part], step, sources[part])))
        sums = loop.close(sums)
        some = number(0)
        for user in range(USERS):
            bar = splat(builder, load(builder, bars, number(4 * PANELS * user), I32), INTS)
            mask = bits_of(builder, [builder.icmp_signed(">=", sums[4 * user + part], bar) for part in range(4)])
            builder.store(mask, builder.inttoptr(builder.add(masks, number(8 * user)), ir.PointerType()), align=1)
            some = builder.or_(some, mask)
        return some

    address = types.uintp
    return types.uint64(address, address, types.int64, address, address, address), code
