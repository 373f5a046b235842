"""Measures the recommendations on a fixed split: ours beside popularity, cosine item-kNN and published figures.

    python -m benchmarks.quality NAME [--data FILE] [--dims D] [--tune TRIALS] [--defaults] [--k K] [--json]
        [--lists-out FILE]

NAME is gowalla, ml_1m, lastfm or deck_cards (protocols: `known`), whose tables are in the folder --data, or any name
with --data FILE: Parquet or CSV with user_id, item_id, split = train, valid or test, and optionally weight.

Lists hold no train source of their user and are judged on the test rows: Recall@k = hits / |test|, NDCG@k binary with
the ideal cut at min(k, |test|), means over the users with test rows. --tune chooses settings on the valid rows (or on a
tenth of the train rows), then trains on the train rows and judges the test rows once; without it the settings are those
of an earlier search, if there are any. --defaults takes those of conf/prod_discovery.yml. --lists-out writes Parquet
user_id, source_ids (100, best first). Ends with 2 when the table cannot be used.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.arguments import positive
from benchmarks.quality.arms import Arm, knn_lists, lists_table, our_lists, popular_lists, timed
from benchmarks.quality.errors import QualityError
from benchmarks.quality.known import KNOWN, known_split, tuned
from benchmarks.quality.split import Split, read_split
from benchmarks.quality.tune import tune
from benchmarks.real_input import DATA
from conf.errors import DiscoveryError
from conf.load import load_settings
from conf.training import TrainSettings
from deploy.chain import REPO
from models.tuning.space import factors_of

_K = 20
_SHOWN = ["algorithm", "factors", "iterations", "alpha", "regularization", "source_damping", "user_damping"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 2 when the table cannot be used."""
    arguments = _parse(argv)
    try:
        split = _split(arguments)
        shipped = load_settings(REPO / "conf/prod_discovery.yml").train
        settings = _settings(arguments, split, shipped)
        lists = timed(lambda part: our_lists(part, settings), split.final)
        arms = {"ours": lists.judge(split.final, split.k)}
        if settings != shipped:
            arms["shipped defaults"] = timed(lambda part: our_lists(part, shipped), split.final).judge(
                split.final, split.k
            )
        arms["item-kNN"] = timed(knn_lists, split.final).judge(split.final, split.k)
        arms["popularity"] = timed(popular_lists, split.final).judge(split.final, split.k)
        if arguments.lists_out:
            _write(arguments.lists_out, lists_table(split.final, lists.source_ids))
    except DiscoveryError as error:
        print(f"quality: {error}", file=sys.stderr)
        return 2
    print(_table(split, arms, settings))
    if arguments.json:
        print(json.dumps(_result(split, arms, settings)))
    return 0


def _split(arguments: argparse.Namespace) -> Split:
    known = KNOWN.get(arguments.name)
    if known and (arguments.data is None or arguments.data.is_dir()):
        return known_split(arguments.name, arguments.data or DATA)
    if arguments.data is None:
        raise QualityError(f"{arguments.name} is none of {', '.join(KNOWN)}: give its table with --data")
    return read_split(arguments.data, arguments.name, arguments.k or (known.k if known else _K))


def _settings(arguments: argparse.Namespace, split: Split, shipped: TrainSettings) -> TrainSettings:
    """Returns the training settings: the shipped ones, changed by --dims and by a search, an earlier or a new one."""
    sized = shipped.model_copy(update={"factors": arguments.dims} if arguments.dims else {})
    if arguments.defaults:
        return sized
    if arguments.tune:
        return tune(split.tuning, sized, split.k, arguments.tune, print)
    return sized.model_copy(update=tuned(split.name, factors_of(sized)))


def _write(path: Path, lists: Any) -> None:
    try:
        pq.write_table(lists, path)
    except OSError as error:
        raise QualityError(f"{path} cannot be written ({error.strerror}); choose another --lists-out") from None


def _table(split: Split, arms: dict[str, Arm], settings: TrainSettings) -> str:
    final = split.final
    users, pairs = len(final.users), len(final.train)
    lines = [
        f"{split.name}: trained on {pairs:,} interactions, judged on {len(final.truth):,} of {users:,} users",
        f"{'':<20}{f'Recall@{split.k}':>11}{f'NDCG@{split.k}':>10}{'seconds':>9}",
    ]
    lines += [f"{name:<20}{arm.recall:>11.4f}{arm.ndcg:>10.4f}{arm.seconds:>9.1f}" for name, arm in arms.items()]
    known = KNOWN.get(split.name)
    published = known.published if known else {}
    lines += [f"{name:<20}{recall:>11.4f}{ndcg:>10.4f}  published" for name, (recall, ndcg) in published.items()]
    return "\n".join([*lines, "ours: " + ", ".join(f"{name} {value}" for name, value in _chosen(settings).items())])


def _chosen(settings: TrainSettings) -> dict[str, Any]:
    """Returns the settings that matter to quality, rounded for reading."""
    values = {name: getattr(settings, name) for name in _SHOWN}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def _result(split: Split, arms: dict[str, Arm], settings: TrainSettings) -> dict[str, Any]:
    judged = {name.replace(" ", "_").replace("-", "_"): asdict(arm) for name, arm in arms.items()}
    return {"name": split.name, "k": split.k, "users": len(split.final.users), "train": _chosen(settings), **judged}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description="Quality on a fixed split.")
    parser.add_argument("name", help=f"{', '.join(KNOWN)}, or any with --data FILE")
    parser.add_argument("--data", type=Path, help="a table, or the folder of the known ones; default: ../shared/data")
    parser.add_argument("--dims", type=positive, help="dimensions of ours; default: those shipped")
    parser.add_argument("--k", type=positive, help=f"length at which lists of other tables are cut; default: {_K}")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--tune", type=positive, metavar="TRIALS", help="search settings on the tuning part")
    chosen.add_argument("--defaults", action="store_true", help="the shipped settings, not what a search found")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--lists-out", type=Path, help="Parquet file for the lists")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
