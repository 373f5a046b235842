"""The weekly job on real data, up to look-ups, judged on the following 14 days: ours and the popularity list.

python -m benchmarks.real_run deck_cards|online_retail [--window 14|90] [--as-of DAY] [--data DIR] [--json]
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow.dataset as ds

from benchmarks.judge import judge, split_events
from benchmarks.measured_run import MeasuredRun, measure_run
from benchmarks.real_input import DATA, KNOWN, read_events, write_dataset
from conf.base import format_bytes
from conf.errors import DiscoveryError
from deploy.chain import REPO, ProductFiles

_DAYS_JUDGED = 14
_K = 20
_DEFAULT_DAYS = {"deck_cards": "2025-12-15", "online_retail": "2011-11-25"}
"""Days for which no parameter was chosen."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 2 when data are missing or the job fails."""
    arguments = _parse(argv)
    overlays = (REPO / "conf/overlays/90days.yml",) if arguments.window == 90 else ()
    product = ProductFiles(REPO / f"conf/{arguments.name}.yml", overlays)
    as_of = arguments.as_of if arguments.as_of is not None else _DEFAULT_DAYS[arguments.name]
    try:
        events = read_events(arguments.name, arguments.data)
        with tempfile.TemporaryDirectory(prefix="discovery-real-") as folder:
            write_dataset(events, Path(folder) / "real" / arguments.name / "events")
            run = measure_run(Path(folder), product, as_of)
            lists = ds.dataset(f"{run.folder}/lists", format="parquet").to_table(columns=["user_id", "source_ids"])
        day = run.manifest.request.as_of
        split = split_events(events, day, arguments.window, _DAYS_JUDGED, KNOWN[arguments.name].positive)
        verdict = asdict(judge(lists, split, _K))
    except DiscoveryError as error:
        print(f"real_run: {error}", file=sys.stderr)
        return 2
    print(_table(run, verdict))
    if arguments.json:
        stages = {name: {"seconds": s.seconds, "peak_bytes": s.peak_bytes} for name, s in run.manifest.stages.items()}
        print(json.dumps({"name": arguments.name, "window": arguments.window, "stages": stages, **verdict}))
    return 0


def _table(run: MeasuredRun, verdict: dict[str, dict[str, float]]) -> str:
    rows = run.manifest.fact("features", "rows")
    events = sum(day["rows"] for record in run.manifest.fact("features", "inputs") for day in record["days"])
    lines = [
        f"{run.manifest.request.product} as of {run.manifest.request.as_of}: {events:,} events, "
        f"{rows['interactions']:,} interactions, {run.lists:,} lists, {run.redis_bytes_per_list:.0f} B each in Redis",
        f"{'stage':<10}{'seconds':>9}{'JVM':>12}{'driver':>12}{'workers':>12}",
    ]
    for name, stage in run.manifest.stages.items():
        sizes = "".join(f"{format_bytes(stage.peak_bytes[kind]):>12}" for kind in ("jvm", "driver", "workers"))
        lines.append(f"{name:<10}{stage.seconds:>9.1f}{sizes}")
    for name in ("ours", "popularity"):
        score = verdict[name]
        lines.append(
            f"{name:<11}Recall@{_K} {score['recall']:.4f}   NDCG@{_K} {score['ndcg']:.4f}   users {score['users']:,}"
        )
    return "\n".join(lines)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_run", description="The job on real data.")
    parser.add_argument("name", choices=sorted(KNOWN))
    parser.add_argument("--window", type=int, choices=[14, 90], default=14, help="days of events that the run reads")
    parser.add_argument("--as-of", help="day of the run; default: one that no parameter was chosen on")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with NAME.parquet")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
