"""Building blocks for LLVM code, for operations that plain numba cannot express."""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

I16, I32, I64, F32, F64 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()
INTS, FLOATS, DOUBLES = ir.VectorType(I32, 16), ir.VectorType(F32, 16), ir.VectorType(F64, 8)
"""Vectors of 512 bits; LLVM splits them where registers are smaller."""

_Function = Callable[..., Any]


def instruction(function: _Function) -> _Function:
    """Makes a function for compiled code from one that returns its signature and the writer of its LLVM code."""
    return cast(_Function, intrinsic(function))


def number(value: int) -> Any:
    """Returns a 64-bit constant."""
    return ir.Constant(I64, value)


def at(builder: ir.IRBuilder, address: Any, offset: Any) -> Any:
    """Returns a pointer to the byte `offset` after an address."""
    return builder.inttoptr(builder.add(address, offset), ir.PointerType())


def load(builder: ir.IRBuilder, address: Any, offset: Any, kind: Any) -> Any:
    """Returns a value of this kind, from memory of any alignment."""
    return builder.load(at(builder, address, offset), align=1, typ=kind)


def splat(builder: ir.IRBuilder, value: Any, kind: Any) -> Any:
    """Returns the value in all lanes of a vector."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(I32, kind.count), [0] * kind.count))


def bits_of(builder: ir.IRBuilder, parts: list[Any]) -> Any:
    """Returns four vectors of 16 truth values as 64 bits, the first value in the lowest bit."""
    mask = number(0)
    for place, part in enumerate(parts):
        bits = builder.zext(builder.bitcast(part, I16), I64)
        mask = builder.or_(mask, builder.shl(bits, number(16 * place)))
    return mask


def tree_sum(builder: ir.IRBuilder, lanes: Any) -> Any:
    """Returns the sum of 8 lanes: lane i + lane i + 4, then + 2, then + 1."""
    for width in (4, 2, 1):
        kind = ir.VectorType(I32, width)
        halves = (ir.Constant(kind, list(range(start, start + width))) for start in (0, width))
        lanes = builder.fadd(*(builder.shuffle_vector(lanes, lanes, half) for half in halves))
    return builder.extract_element(lanes, ir.Constant(I32, 0))


class Loop:
    """A loop of `times` rounds that carries values from one round to the next.

    Code written between its creation and `close` is its body.
    """

    def __init__(self, builder: ir.IRBuilder, times: Any, values: list[Any]) -> None:
        self._builder = builder
        before = builder.block
        self._head, body, self._end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(self._head)
        builder.position_at_end(self._head)
        self.round = builder.phi(I64)
        self.round.add_incoming(number(0), before)
        self.values = [builder.phi(value.type) for value in values]
        for phi, value in zip(self.values, values, strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_unsigned("<", self.round, times), body, self._end)
        builder.position_at_end(body)

    def close(self, values: list[Any]) -> list[Any]:
        """Ends the body with the values for the next round. Returns the values after the last round."""
        last = self._builder.block
        self.round.add_incoming(self._builder.add(self.round, number(1)), last)
        for phi, value in zip(self.values, values, strict=True):
            phi.add_incoming(value, last)
        self._builder.branch(self._head)
        self._builder.position_at_end(self._end)
        return self.values
