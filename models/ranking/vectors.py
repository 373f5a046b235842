"""Vector arithmetic whose order of operations is fixed, for every CPU that LLVM knows. Arguments are addresses."""

from typing import Any

from llvmlite import ir
from numba import types

from models.ranking import llvm
from models.ranking.llvm import DOUBLES, F32, F64, FLOATS, I32, instruction, load, number


@instruction
def dot(typing: Any, wide: Any, factors: Any, dimensions: Any) -> Any:
    """Returns the score of a pair, float32, from a user's factors in float64 and a source's in float32.

    The user's are float32 numbers too, converted once because a user meets many sources. Products are exact in float64
    (24 + 24 bits of mantissa fit into 53), so that it does not matter whether a CPU fuses them with the additions. Term
    i is added to partial sum i mod 16, the terms after the last whole 16 to a sum of their own; the partial sums are
    added as a tree, and rounded to float32 once.
    """

    def code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        wide, factors, count = arguments

        def add_products(total: Any, first: Any, kind: Any, narrow: Any) -> Any:
            x = load(builder, wide, builder.shl(first, number(3)), kind)
            y = builder.fpext(load(builder, factors, builder.shl(first, number(2)), narrow), kind)
            return builder.fadd(total, builder.fmul(x, y, flags=("contract",)), flags=("contract",))

        loop = llvm.Loop(builder, builder.lshr(count, number(4)), [ir.Constant(DOUBLES, [0.0] * 8)] * 2)
        first = builder.shl(loop.round, number(4))
        places = first, builder.add(first, number(8))
        narrow = ir.VectorType(F32, 8)
        pairs = zip(loop.values, places, strict=True)
        low, high = loop.close([add_products(total, place, DOUBLES, narrow) for total, place in pairs])
        whole = builder.and_(count, number(-16))
        rest = llvm.Loop(builder, builder.sub(count, whole), [ir.Constant(F64, 0.0)])
        (tail,) = rest.close([add_products(rest.values[0], builder.add(whole, rest.round), F64, F32)])
        return builder.fptrunc(builder.fadd(llvm.tree_sum(builder, builder.fadd(low, high)), tail), F32)

    return types.float32(types.uintp, types.uintp, types.int64), code


@instruction
def at_least(typing: Any, scores: Any, bar: Any) -> Any:
    """Returns which of 64 float32 are at least `bar`, uint64: bit s is set if number s is."""

    def code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        scores, bar = arguments
        bars = llvm.splat(builder, bar, FLOATS)
        parts = (load(builder, scores, number(64 * part), FLOATS) for part in range(4))
        return llvm.bits_of(builder, [builder.fcmp_ordered(">=", part, bars) for part in parts])

    return types.uint64(types.uintp, types.float32), code


@instruction
def lowest_bit(typing: Any, bits: Any) -> Any:
    """Returns the place of the lowest set bit of a uint64 that is not 0."""

    def code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


@instruction
def count_bits(typing: Any, bits: Any) -> Any:
    """Returns the number of set bits of a uint64."""

    def code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), code


@instruction
def prefetch(typing: Any, address: Any, size: Any) -> Any:
    """Asks the CPU to load `size` bytes that will be read soon."""

    def code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        address, size = arguments
        kind = ir.FunctionType(ir.VoidType(), (ir.PointerType(), I32, I32, I32))
        hint = builder.module.declare_intrinsic("llvm.prefetch", (ir.PointerType(),), kind)
        loop = llvm.Loop(builder, builder.lshr(builder.add(size, number(63)), number(6)), [])
        line = llvm.at(builder, address, builder.shl(loop.round, number(6)))
        builder.call(hint, (line, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)))
        loop.close([])
        return context.get_dummy_value()

    return types.void(types.uintp, types.int64), code
