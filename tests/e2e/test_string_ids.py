"""A product whose users and sources have names instead of numbers."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.conftest import LAST
from tests.e2e.explained import check_list, explained
from tests.e2e.product import Product, Servers
from tests.e2e.raw import check_lists, reference
from tests.support.odd_names import ODD

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_string_ids(servers: Servers, string_world: Path, tmp_path: Path, shared_spark: "SparkSession") -> None:
    product = Product.create(servers, tmp_path / ODD, {**reference("names", string_world), "ids": "string"})
    with product.loading():
        ended = product.run("--as-of", str(LAST), "--first")
    assert ended.code == 0, ended.log
    (run,) = product.run_ids
    rows = product.folder(run).table("snapshot").to_table().to_pylist()
    assert len(rows) > 500
    check_lists(string_world, LAST, rows)
    for row in rows:
        assert isinstance(row["user_id"], str)
        answer = product.reader.lookup(row["user_id"]) if row["seq"] < 3 else None  # a few of each partition
        assert answer is None or (list(answer.source_ids), answer.run) == (row["source_ids"], run)
    told = product.discovery("lookup", rows[0]["user_id"], "--json")
    assert json.loads(told.out)["source_ids"] == rows[0]["source_ids"]
    said = explained(product, rows[0]["user_id"], "--source", rows[0]["source_ids"][0])
    check_list(said, rows[0])
    assert (said["stored"]["matches"], said["source"]["listed"]["rank"]) == (True, 1)
