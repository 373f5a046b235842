"""Vectors in 8 bits, and the proof that screening with them loses nothing.

Sources are in panels of 64, by descending norm. Let M be the largest norm in a panel, w = source / M, v = user /
|user|. Both are rotated (`rotation`) and quantised to 8 bits: with β = largest coordinate of the panel / 127 and q = Rw
/ β rounded to integers, ŵ = βq is the source as the screen sees it; α and v̂ likewise, for each user alone. One
instruction (VNNI) multiplies 64 pairs of 8-bit numbers and adds them up in 32 bits, exactly: |Σ| ≤ 255 · 127 · d < 2²⁹.
One of its sides must be unsigned, so users are stored plus 128, and the sums of a panel begin at −128 · Σ q to make up
for it.

Proof. By Cauchy–Schwarz, and the defect ω of the rotation,

    v·w ≤ Rv·Rw + ω,    Rv·Rw = v̂·ŵ + v̂·(Rw − ŵ) + (Rv − v̂)·Rw ≤ v̂·ŵ + |v̂| · |Rw − ŵ| + |Rv − v̂| · (1 + ω).

|Rw − ŵ| is measured, from the computed Rw, plus the error of the rotation; let e_w be the largest of a panel, and e_v
the same for the user. The score is |user| · M · v·w, off by at most 2u · |user| · M or, when it is tiny, 2⁻¹²⁶
(`rounding`). So for a bar t

    score ≥ t  ⟹  αβ · Σ qq' = v̂·ŵ ≥ (t − 2⁻¹²⁶) / (|user| · M) − |v̂| · e_w − (e_v · (1 + ω) + ω + 2u).

Divided by αβ, the left side is the integer that the screen has. `walk_simd` compares it with the right side, computed
in float64 and lowered by one: its terms are below 2²⁹ or out of reach, the roundings of float64 below 2⁻²⁰.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ranking.compiled import reordered
from models.ranking.rotation import Rotation

PANEL = 64
MOST_DIMENSIONS = 2**14
"""More dimensions could pass 2²⁹, see above."""

NEVER = 2**29
"""A bar that no sum reaches."""

_NOBODY = -(2**30)
"""Start of the sums of empty places: they pass no bar, since bars are between ±NEVER."""

_STEP = 1.000001 / 127
_AT_ONCE = 256
"""Panels that are quantised at once: 16 MiB of float64 at d = 128, however many sources there are."""

_NO_NORM = 1e-300
"""Replaces the largest norm of a panel of zeros as a divisor."""


class Panels(NamedTuple):
    """Sources in 8 bits: codes int8 (panels, steps, 64, 4), where a step is 4 coordinates; starts int32 (panels, 64).

    scales float64 (3, panels): 1 / (M·β), e_w / β, 1 / β.
    """

    codes: NDArray[np.int8]
    starts: NDArray[np.int32]
    scales: NDArray[np.float64]


class UserCodes(NamedTuple):
    """Users in 8 bits: codes uint8 (users, 4 · steps), and scales float64 (users, 3).

    Scales: 1 / (|user| · α), |v̂| / α, (e_v · (1 + ω) + ω + 2u) / α.
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.float64]


def quantise_sources(factors: NDArray[np.float32], norms: NDArray[np.float64], rotation: Rotation) -> Panels:
    """Returns the panels of sources float32 (n, d) with descending norms (n,)."""
    count, dimensions = -(-len(factors) // PANEL), factors.shape[1]
    codes = np.zeros((count, -(-dimensions // 4), PANEL, 4), np.int8)
    starts = np.full((count, PANEL), _NOBODY, np.int32)
    scales = np.empty((3, count))
    for first in range(0, count, _AT_ONCE):
        some, rows = slice(first, first + _AT_ONCE), slice(first * PANEL, (first + _AT_ONCE) * PANEL)
        _quantise(factors[rows], norms[rows], rotation, Panels(codes[some], starts[some], scales[:, some]))
    return Panels(codes, starts, scales)


def _quantise(factors: NDArray[np.float32], norms: NDArray[np.float64], rotation: Rotation, out: Panels) -> None:
    longest = np.maximum(norms[::PANEL], _NO_NORM)
    turned = np.zeros((len(longest) * PANEL, 4 * out.codes.shape[1]))
    turned[: len(factors), : factors.shape[1]] = rotation.turn(
        factors / np.repeat(longest, PANEL)[: len(factors), None]
    )
    turned = turned.reshape(len(longest), PANEL, -1)
    largest = np.abs(turned).max(axis=(1, 2))
    steps = np.where(largest > 0, largest, 1) * _STEP
    codes = np.rint(turned / steps[:, None, None])
    errors = np.linalg.norm(turned - codes * steps[:, None, None], axis=2).max(axis=1) + rotation.error
    out.codes[...] = codes.reshape(len(longest), PANEL, -1, 4).transpose(0, 2, 1, 3)
    out.starts.reshape(-1)[: len(factors)] = -128 * codes.sum(axis=2).reshape(-1)[: len(factors)]
    out.scales[...] = 1 / (longest * steps), errors / steps, 1 / steps


def quantise_users(wide: NDArray[np.float64], norms: NDArray[np.float64], rotation: Rotation) -> UserCodes:
    """Returns users float64 (n, d) of norms (n,) > 0 in 8 bits."""
    turned = rotation.turn(wide / norms[:, None])
    codes = UserCodes(np.full((len(wide), -(-wide.shape[1] // 4) * 4), 128, np.uint8), np.empty((len(wide), 3)))
    _quantise_users(turned, norms, float(rotation.defect), float(rotation.error), codes)
    return codes


@reordered
def _quantise_users(
    turned: NDArray[np.float32], norms: NDArray[np.float64], defect: float, turning_error: float, out: UserCodes
) -> None:
    for user in range(len(turned)):
        largest = np.float32(2.0**-30)
        for i in range(turned.shape[1]):
            x = abs(turned[user, i])
            largest = x if x > largest else largest
        step = largest * np.float32(_STEP)
        inverse = np.float32(1) / step
        length, error = 0.0, 0.0
        for i in range(turned.shape[1]):
            code = np.int32(turned[user, i] * inverse + np.float32(128.5))
            out.codes[user, i] = np.uint8(code)
            seen = np.float64(step) * np.float64(code - 128)
            off = np.float64(turned[user, i]) - seen
            length += seen * seen
            error += off * off
        rest = (np.sqrt(error) + turning_error) * (1 + defect) + defect + 2.0**-23
        out.scales[user, 0] = 1 / (norms[user] * step)
        out.scales[user, 1] = np.sqrt(length) / step
        out.scales[user, 2] = rest / step
