"""What `discovery explain` says of a user, and that it is true of the run's own row."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from conf.ids import UserId
from tests.e2e.product import Product

Said = dict[str, Any]


def explained(product: Product, user: UserId, *words: str) -> Said:
    """What it says as JSON."""
    ended = product.discovery("explain", str(user), *words, "--json")
    assert ended.code == 0, ended.log
    said: Said = json.loads(ended.out)
    return said


def check_list(said: Said, row: Mapping[str, Any]) -> None:
    """The list is that of the run, and is made again by the rules; each score is the sum of its parts."""
    assert said["row"] == {"source_ids": row["source_ids"], "scores": row["scores"]}
    assert said["rebuilt"] is True
    assert [one["source"] for one in said["listed"]] == row["source_ids"]
    for score in (one["score"] for one in said["listed"]):
        if score["remainder"] is not None:
            parts = sum(one["value"] for one in score["contributions"])
            assert parts + score["others"] + score["remainder"] == pytest.approx(score["value"], rel=1e-9)


def check_pairs(said: Said) -> None:
    """Every pair's weight is the sum of the user's events with the source, and each listed score rests on some."""
    assert said["missing_days"] == []
    assert said["pairs"]
    for pair in said["pairs"]:
        assert pair["summed"] == pytest.approx(pair["weight"], rel=1e-9)
    assert all(one["score"]["contributions"] for one in said["listed"])
