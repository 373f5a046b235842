"""The walk on CPUs with AVX-512 and VNNI: 6 users against a panel of 64 sources at a time, in 8 bits.

Sums never leave the registers; the result is one bit per pair, set whenever the pair's score may pass its user's bar
(the proof is in `panels`). These few pairs are collected and their factors prefetched before they are scored. Meanwhile
one panel's codes stay in the first-level cache.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ranking.block import Block, WalkCounts
from models.ranking.compiled import compiled, inlined, reordered
from models.ranking.index import SourceIndex, Sources
from models.ranking.lists import offer, score_of
from models.ranking.panels import NEVER, PANEL, Panels, UserCodes, quantise_users
from models.ranking.rounding import SMALLEST
from models.ranking.stop import drop_finished
from models.ranking.vectors import dot, lowest_bit, prefetch
from models.ranking.vnni import PANELS, USERS, screen


class _Scratch(NamedTuple):
    """Working memory: the active users; for the 6 users at hand their rows, code addresses, bars and masks; candidates.

    bars (6, PANELS), masks (6,); candidates are lanes (user at hand) and places (position in the index).
    """

    active: NDArray[np.int64]
    group: NDArray[np.int64]
    codes: NDArray[np.uint64]
    bars: NDArray[np.int32]
    masks: NDArray[np.uint64]
    lanes: NDArray[np.int64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, users: int) -> "_Scratch":
        most = PANELS * USERS * PANEL
        return cls(
            np.arange(users),
            np.empty(USERS, np.int64),
            np.empty(USERS, np.uint64),
            np.empty((USERS, PANELS), np.int32),
            np.empty(USERS, np.uint64),
            np.empty(most, np.int64),
            np.empty(most, np.int64),
        )


def walk(index: SourceIndex, block: Block) -> WalkCounts:
    """Offers the sources of the index to the lists of a block of users, as far as they can matter."""
    codes = quantise_users(block.wide, block.norms, index.rotation)
    return WalkCounts(*_walk(index.sources, index.panels, block, codes, _Scratch.of(len(block.wide))))


@compiled
def _walk(sources: Sources, panels: Panels, block: Block, codes: UserCodes, scratch: _Scratch) -> tuple[int, int]:
    active, pairs, candidates = len(scratch.active), 0, 0
    for first in range(0, len(panels.codes), PANELS):
        last = min(first + PANELS, len(panels.codes))
        active = drop_finished(scratch.active, active, block.norms, sources.norms[first * PANEL], block.lists.least)
        if active == 0:
            break
        pairs += active * (min(last * PANEL, len(sources.norms)) - first * PANEL)
        for start in range(0, active, USERS):
            _take_group(scratch, start, active, codes, panels, block, first, last)
            found = _screen(scratch, panels, sources, block, first, last)
            candidates += found
            _score(scratch, found, sources, block)
    return pairs, candidates


@inlined
def _take_group(
    scratch: _Scratch, start: int, active: int, codes: UserCodes, panels: Panels, block: Block, first: int, last: int
) -> None:
    """Loads 6 active users and their bars in panels first … last − 1; in an unused lane nothing passes."""
    for lane in range(USERS):
        user = scratch.active[min(start + lane, active - 1)]
        scratch.group[lane] = user
        scratch.codes[lane] = codes.codes.ctypes.data + user * codes.codes.shape[1]
        if start + lane < active:
            score = score_of(block.lists.least[user])
            _set_bars(scratch.bars, lane, score, codes.scales, user, panels.scales, first, last)
        else:
            for panel in range(PANELS):
                scratch.bars[lane, panel] = NEVER


@reordered
def _set_bars(
    bars: NDArray[np.int32],
    lane: int,
    score: np.float32,
    user_scales: NDArray[np.float64],
    user: int,
    scales: NDArray[np.float64],
    first: int,
    last: int,
) -> None:
    """Sets the sum that a user must reach in each panel for `score` to be reached: the right side of the proof."""
    low = (np.float64(score) - SMALLEST) * user_scales[user, 0]
    length, rest = user_scales[user, 1], user_scales[user, 2]
    for panel in range(last - first):
        at = first + panel
        bar = low * scales[0, at] - length * scales[1, at] - rest * scales[2, at] - 1.0
        bar = bar if bar > -NEVER else np.float64(-NEVER)
        bars[lane, panel] = np.int32(bar if bar < NEVER else np.float64(NEVER))


@inlined
def _screen(scratch: _Scratch, panels: Panels, sources: Sources, block: Block, first: int, last: int) -> int:
    """Collects the candidates of the 6 users in panels first … last − 1. Returns their number."""
    steps, row = panels.codes.shape[1], sources.factors.shape[1] * 4
    found = 0
    for panel in range(first, last):
        some = screen(
            panels.codes.ctypes.data + panel * steps * (4 * PANEL),
            panels.starts.ctypes.data + panel * (4 * PANEL),
            steps,
            scratch.codes.ctypes.data,
            scratch.bars.ctypes.data + (panel - first) * 4,
            scratch.masks.ctypes.data,
        )
        if some == 0:
            continue
        for lane in range(USERS):
            mask = scratch.masks[lane] & ~block.excluded[scratch.group[lane], panel]
            while mask != 0:
                place = panel * PANEL + lowest_bit(mask)
                mask &= mask - np.uint64(1)
                prefetch(sources.factors.ctypes.data + place * row, row)
                scratch.lanes[found] = lane
                scratch.places[found] = place
                found += 1
    return found


@inlined
def _score(scratch: _Scratch, found: int, sources: Sources, block: Block) -> None:
    """Scores the candidates and offers them to their users' lists."""
    dimensions = sources.factors.shape[1]
    for candidate in range(found):
        user, place = scratch.group[scratch.lanes[candidate]], scratch.places[candidate]
        x = block.wide.ctypes.data + user * dimensions * 8
        y = sources.factors.ctypes.data + place * dimensions * 4
        offer(block.lists, user, dot(x, y, dimensions), sources.rows[place])
