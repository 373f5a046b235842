"""A user who is forgotten while a run is on its way is in nothing that the run makes from then on."""

from typing import TYPE_CHECKING

from jobs.stages.features import build_features
from tests.e2e.deaths import RUN
from tests.e2e.explained import explained
from tests.e2e.product import Make, Product
from tests.e2e.refusals import FIRST

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FLAGS = (*FIRST, "--run-id", RUN)
USER = 1


def test_a_user_who_is_forgotten_between_two_stages(make: Make, shared_spark: "SparkSession") -> None:
    product = make()
    features = product.run(*FLAGS, work=build_features)
    assert features.code == 0, features.log
    forgotten = product.discovery("forget", str(USER), "--reason", "asked by letter")
    assert forgotten.code == 0, forgotten.log
    assert f"user    {USER} is forgotten since" in forgotten.out
    with product.loading():
        ended = product.run(*FLAGS)
    assert ended.code == 0, ended.log
    assert USER in users_of(product, "interactions"), "a finished table is never written again"
    for table in ("user_factors", "lists", "snapshot"):
        assert users_of(product, table) == {*range(1, 41)} - {USER}, table
    assert product.reader.lookup(USER).kind == "fallback"
    assert product.reader.lookup(USER + 1).kind == "list"
    told = product.discovery("explain", str(USER), "--run", RUN)
    assert (told.code, told.out) == (0, f"user     {USER} is forgotten: nothing is shown, of no run\n")
    assert explained(product, USER)["pairs"] == []
    manifest = product.manifest(RUN)
    assert [manifest.fact(stage, "erased")["users"] for stage in ("features", "train", "topn", "publish")] == [
        0,
        1,
        1,
        1,
    ]
    assert manifest.fact("serve", "counts") == {"loaded": 39, "readable": 39}


def users_of(product: Product, table: str) -> set[int]:
    return {row["user_id"] for row in product.folder(RUN).table(table).to_table(columns=["user_id"]).to_pylist()}
