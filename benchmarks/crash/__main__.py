"""The crash hunter: pushes in a loop while loaders, broker, Redis and publishers are killed, frozen and restarted.

    python -m benchmarks.crash [--minutes 5] [--seed N] [--json]

Readers look users up all the time and check every answer. After each push the hunter checks the promise: either the run
serves and equals its snapshot record for record, or it is FAILED and the run before is whole and serves; pointer,
registry and keys agree. Some pushes are damaged, some run two at once; an operator holds, rolls back and tidies up in
between.

Each decision (what a push is like, which process is hit when and for how long) follows from the seed and the number of
the push, so `--seed S --start N` makes the same pushes again from N on. The interleaving of processes differs from run
to run. Exits with 1 when there were violations; they are kept with the logs.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.crash.chaos import Chaos
from benchmarks.crash.hunt import Hunt, Parts
from benchmarks.crash.journal import Journal
from benchmarks.crash.judge import Judge
from benchmarks.crash.operator import Operator
from benchmarks.crash.readers import Forbidden, Readers
from benchmarks.crash.stack import Stack
from benchmarks.crash.truth import PushedLists
from conf.connections import RedisConnection
from conf.errors import DiscoveryError
from publish.connect.redis_clients import redis_client


def crash(arguments: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Hunts for `--minutes`. Returns the counts."""
    journal, truth, forbidden = Journal(home, arguments.seed), PushedLists(arguments.seed, arguments.users), Forbidden()
    with Stack(home, journal, loaders=arguments.loaders) as stack:
        connection = RedisConnection.of(stack.redis.url)
        operator = Operator(redis_client(connection), stack.kafka, journal)
        chaos = Chaos(stack, operator, journal)
        readers = Readers(stack.redis.url, truth, forbidden, journal, count=arguments.readers)
        judge = Judge(redis_client(connection), truth, readers, forbidden, journal)
        hunt = Hunt(Parts(stack, truth, journal, readers, forbidden, judge, operator, chaos, home), _say)
        try:
            hunt.begin(0)
            with readers:
                time.sleep(3)  # the first run outlives the loss of Redis' last second
                number = hunt.hunt(arguments.start, arguments.minutes * 60)
                hunt.end(number)
        finally:
            chaos.stop()
            for line in journal.news():
                _say(line)
            journal.close()
    _say(_table(journal, hunt))
    counted = ("pushes", "served", "held", "refused", "kills", "freezes", "restarts", "reads", "violations")
    return {
        **{name: journal.counts[name] for name in counted},
        "power_cuts": journal.counts["redis power"],
        "seed": arguments.seed,
        "minutes": arguments.minutes,
        "users": arguments.users,
        "loaders": arguments.loaders,
        "violations_by_sort": {
            name.removeprefix("violation: "): count
            for name, count in journal.counts.items()
            if name.startswith("violation: ")
        },
    }


def _table(journal: Journal, hunt: Hunt) -> str:
    """Returns the counts as lines of text, and why pushes were refused."""
    names = sorted(name for name in journal.counts if not name.startswith("violation"))
    lines = [f"  {name:<22}{journal.counts[name]:>12,}" for name in [*names, "violations"]]
    return "\n".join(["", *lines, "", "  not served, and why:", hunt.summary(), ""])


def _say(text: str) -> None:
    print(text, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, 1 when a promise was broken, 2 when the hunt could not begin."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description="Hunts for broken promises.")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="default: any")
    parser.add_argument("--start", type=int, default=1, help="number of the first push, to replay a failing one")
    parser.add_argument("--users", type=int, default=20_000, help="users in a push, about")
    parser.add_argument("--loaders", type=int, default=3)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument(
        "--keep", type=Path, help="folder for data, logs and violations; default: only if there are any"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    home = Path(tempfile.mkdtemp(prefix="discovery-crash-")) if arguments.keep is None else arguments.keep.absolute()
    home.mkdir(parents=True, exist_ok=True)
    if any(home.iterdir()):
        parser.error(f"{home} is not empty: two hunts must not mix; name a new folder")
    _say(f"seed {arguments.seed}, {arguments.minutes:g} minutes, in {home}")
    try:
        result = crash(arguments, home)
    except DiscoveryError as error:
        print(f"crash: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("crash: interrupted; everything that was started is stopped", file=sys.stderr)
        return 130
    if result["violations"] or arguments.keep is not None:
        _say(f"events, violations and logs: {home}")
    else:
        shutil.rmtree(home, ignore_errors=True)
    if arguments.json:
        _say(json.dumps(result))
    return 1 if result["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
