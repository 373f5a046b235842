"""Position curves of simulated users: harvested at swaps, beside hits ÷ answers by place, and the planted curve.

    python -m benchmarks.propensities [--answers 1000000] [--worlds 5] [--json]

Users get a list each week, ordered by what sources are worth to them and by noise that differs from week to week; they
look at place k with the planted chance k^-0.8, and hit what they look at as often as it is worth. Prints the root mean
square error of p_k ÷ p_1, k ≤ 10, of both; how often intervals hold the planted ratio; and the same with fewer answers
and fewer swaps, where the answer becomes "not identifiable".
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.arguments import positive
from conf.contract import USER_GROUPS
from models.outcomes.propensities import PLACES, Shown, Sums, curve_of, naive_curve, swaps_of

PLANTED = np.arange(1, PLACES + 1) ** -0.8
_WEEKS, _CANDIDATES, _BLOCK = 4, 20, 20_000


@dataclass(frozen=True)
class World:
    """What was simulated, in sums."""

    swaps: Sums
    hits: NDArray[np.int64]
    """By place."""
    answers: int


def simulated(seed: int, answers: int, noise: float) -> World:
    """Returns a world; noise: how much lists change from week to week, 0: not at all."""
    chance, users = np.random.default_rng(seed), max(1, answers // _WEEKS)
    swaps, hits = np.zeros((USER_GROUPS, PLACES, PLACES)), np.zeros(PLACES, np.int64)
    for count in _blocks(users):
        worth = np.minimum(chance.gamma(0.5, 0.1, (count, _CANDIDATES)), 1.0)
        shape = (count, _WEEKS, _CANDIDATES)
        score = np.log(worth + 1e-3)[:, None] + noise * chance.standard_normal(shape)
        listed = np.argsort(-score, axis=2)[..., :PLACES]
        likely = np.take_along_axis(np.broadcast_to(worth[:, None], shape), listed, axis=2) * PLANTED
        hit = chance.random(likely.shape) < likely
        user = np.broadcast_to(np.arange(count)[:, None, None], listed.shape).ravel()
        place = np.broadcast_to(np.arange(1, PLACES + 1), listed.shape).ravel()
        week = np.broadcast_to(np.arange(_WEEKS)[None, :, None], listed.shape).ravel()
        pair, was_hit = user * _CANDIDATES + listed.ravel(), hit.ravel()
        hits_at = Shown(pair[was_hit], week[was_hit], place[was_hit])
        for lag in (-1, 1):
            which, other = swaps_of(hits_at, Shown(pair, week, place), lag)
            np.add.at(swaps, (user[was_hit][which] % USER_GROUPS, hits_at.place[which] - 1, other - 1), 1)
        hits += hit.sum(axis=(0, 1))
    return World(swaps, hits, users * _WEEKS)


def measured(answers: int, noise: float, worlds: int) -> dict[str, float]:
    """Returns errors and coverage over some worlds."""
    ours, naive, held, known = list[float](), list[float](), 0, 0
    for seed in range(worlds):
        world = simulated(seed, answers, noise)
        for place, ratio in enumerate(curve_of(world.swaps)[1:], start=1):
            if ratio is not None:
                ours.append(ratio.value - PLANTED[place])
                held += ratio.low <= PLANTED[place] <= ratio.high
                known += 1
        curve = naive_curve(world.hits.tolist(), [world.answers] * PLACES)
        naive += list(np.array(curve[1:]) - PLANTED[1:])
    rmse = (float(np.sqrt(np.mean(np.square(errors)))) if errors else float("nan") for errors in (ours, naive))
    found = dict(zip(("rmse", "naive_rmse"), rmse, strict=True))
    return {
        "answers": answers,
        "noise": noise,
        **found,
        "identified": known / (9 * worlds),
        "coverage": held / max(known, 1),
    }


def _blocks(users: int) -> Iterator[int]:
    for start in range(0, users, _BLOCK):
        yield min(_BLOCK, users - start)


def main() -> None:
    """Prints one line per number of answers and noise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--answers", type=positive, default=1_000_000)
    parser.add_argument("--worlds", type=positive, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    cases = [
        (asked.answers, 0.5),
        (asked.answers // 10, 0.5),
        (asked.answers // 100, 0.5),
        (asked.answers // 1000, 0.5),
    ]
    cases += [(asked.answers, 0.02), (asked.answers, 0.0)]
    rows = [measured(answers, noise, asked.worlds) for answers, noise in cases]
    if asked.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    for row in rows:
        sys.stdout.write(
            f"{row['answers']:>9,} answers, noise {row['noise']:.2f}: error {row['rmse']:.3f}, naive "
            f"{row['naive_rmse']:.3f}; {row['identified']:.0%} of places identifiable, intervals hold "
            f"{row['coverage']:.0%}\n"
        )


if __name__ == "__main__":
    main()
