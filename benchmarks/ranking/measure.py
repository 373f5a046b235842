"""Measures rounds of all arms on one set of factors."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.ranking import spark
from benchmarks.ranking.arms import ARMS, OURS, arms_here
from benchmarks.ranking.check import Check, check_lists
from benchmarks.ranking.errors import RankingBenchError
from benchmarks.ranking.factors import FactorSet
from benchmarks.ranking.goals import goals_of
from benchmarks.ranking.pair import WORKERS, Pair, Turn, build
from benchmarks.ranking.stream import Stream

FIRST = 256
"""Users in the first block; an arm is timed with at least as many."""
_SECONDS = 1.0
"""Target time of a turn of an arm without an index; it ranks a sample of users that fits."""


@dataclass(frozen=True)
class RankingPlan:
    """What to measure; `checked` users of each half are compared with brute force (None: all)."""

    ns: tuple[int, ...]
    rounds: int
    with_spark: bool
    checked: int | None


@dataclass(frozen=True)
class Runner:
    """A pair that is ready, the users that each of its processes ranks per turn, and the seconds to its first block."""

    pair: Pair
    users: int
    first_s: float


def measure(factors: FactorSet, plan: RankingPlan) -> list[dict[str, Any]]:
    """Returns a row of figures per N. Raises RankingBenchError when there are too few users or a worker ends."""
    if len(factors.users) < WORKERS:
        raise RankingBenchError(f"{factors.name} has {len(factors.users)} users: {WORKERS} processes need one each")
    factors, ns = factors.sample(len(factors.users)), sorted(plan.ns)
    with tempfile.TemporaryDirectory(prefix="discovery-ranking-") as folder, ExitStack() as stack:
        stream = Stream.write(factors, Path(folder))
        _log(factors, "index")
        built = build(stream)
        others = spark.measure(stream, ns) if plan.with_spark else {}
        _log(factors, "workers")
        runners = {name: _runner(stack.enter_context(Pair(name, stream)), ns[0]) for name in arms_here()}
        rows = []
        for n in ns:
            turns = _rounds(factors, runners, n, plan.rounds)
            row = _row(factors, n, runners, turns, others.get(n)) | {"build": built}
            rows.append(row | {"check": _check(factors, runners, n, plan.checked, Path(folder))})
    return rows


def _runner(pair: Pair, n: int) -> Runner:
    some = min(FIRST, pair.half)
    pair.turn(n, some)
    first = pair.age
    if pair.arm in OURS:
        return Runner(pair, pair.half, first)
    again = pair.turn(n, some).seconds / some
    return Runner(pair, min(pair.half, max(some, round(_SECONDS / again))), first)


def _rounds(factors: FactorSet, runners: dict[str, Runner], n: int, rounds: int) -> dict[str, list[Turn]]:
    """Returns the turns of every arm; each round begins with another arm."""
    names, turns = list(runners), {name: list[Turn]() for name in runners}
    for number in range(rounds):
        _log(factors, f"N = {n}, round {number + 1} of {rounds}")
        first = number % len(names)
        for name in names[first:] + names[:first]:
            turns[name].append(runners[name].pair.turn(n, runners[name].users))
    return turns


def _row(
    factors: FactorSet,
    n: int,
    runners: dict[str, Runner],
    turns: dict[str, list[Turn]],
    other: dict[str, float] | None,
) -> dict[str, Any]:
    arms: dict[str, dict[str, Any] | None] = dict.fromkeys((*ARMS, "spark"))
    for name, runner in runners.items():
        arms[name] = _figures(turns[name], runner, turns["sgemm"])
    ours, last = turns["ours"], turns["ours"][-1]
    ratios: dict[str, float | None] = {name: _ratio(turns.get(name), ours) for name in ("implicit", "faiss")}
    for name in OURS:
        ratios[name] = _ratio(turns[name], turns["sgemm"])
    ratios["spark"] = None
    if other:
        per_user = other["seconds"] / other["users"]
        ratios["spark"] = per_user / median(turn.per_user for turn in ours)
        to_sgemm = per_user / median(turn.per_user for turn in turns["sgemm"])
        arms["spark"] = other | {"users_per_second": 1 / per_user, "us_per_user": 1e6 * per_user, "to_sgemm": to_sgemm}
    users, sources = len(factors.users), len(factors.sources)
    return {
        "set": factors.name,
        "users": users,
        "sources": sources,
        "dimensions": factors.users.shape[1],
        "n": n,
        "rounds": len(ours),
        "arms": arms,
        "goals": [goal.result() for goal in goals_of(factors.name, sources, n, ratios)],
        "pairs_share": last.pairs / (last.users * sources),
        "candidates_per_user": last.candidates / last.users,
    }


def _figures(turns: Sequence[Turn], runner: Runner, sgemm: Sequence[Turn]) -> dict[str, Any]:
    per_user = median(turn.per_user for turn in turns)
    return {
        "users": turns[0].users,
        "seconds": [turn.seconds for turn in turns],
        "us_per_user": 1e6 * per_user,
        "users_per_second": 1 / per_user,
        "to_sgemm": _ratio(turns, sgemm),
        "peak_bytes": max(turn.peak_bytes for turn in turns),
        "setup_s": runner.pair.setup_s,
        "first_s": runner.first_s,
    }


def _ratio(over: Sequence[Turn] | None, under: Sequence[Turn]) -> float | None:
    """Returns the median of the rounds' ratios of time per user."""
    if not over:
        return None
    return median(one.per_user / other.per_user for one, other in zip(over, under, strict=True))


def _check(factors: FactorSet, runners: dict[str, Runner], n: int, checked: int | None, folder: Path) -> dict[str, Any]:
    """Compares both forms' lists with brute force. Raises RankingBenchError when one is wrong."""
    _log(factors, f"N = {n}, brute force")
    found = {}
    for name in OURS:
        pair, check = runners[name].pair, Check()
        for place, top in enumerate(pair.lists(n, min(pair.half, checked or pair.half), folder)):
            check += check_lists(factors, place * pair.half, top)
        if check.wrong:
            raise RankingBenchError(
                f"{name}: {check.wrong} of {check.users} lists of {factors.name} at N = {n} are not those of brute "
                f"force, scores differ by {check.worst:g}"
            )
        found[name] = asdict(check)
    return found


def _log(factors: FactorSet, doing: str) -> None:
    print(f"{factors.name}: {doing} …", file=sys.stderr)
