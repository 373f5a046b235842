"""Between two trainings: the factors stay, who came since gets a list of their own, and lists forget what was seen.

The second refresh has other settings: its users are folded in by the weights of the training all the same.
"""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tests.e2e.conftest import LAST, Literal, write_day
from tests.e2e.explained import check_list, explained
from tests.e2e.product import Make, Product
from tests.e2e.refusals import FIRST
from tests.features.world import ago, events

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEXT = LAST + dt.timedelta(days=1)
EVEN, ODD = {*range(101, 107)}, {*range(107, 113)}
"""The sources that even and odd users like."""
CAME, ONLY_UNKNOWN, OLD, FORGOTTEN = 41, 42, 1, 43
LONELY = 150
SEEN = 111


def test_users_who_came_after_the_training_are_folded_in(
    make: Make, shared_spark: "SparkSession", tmp_path: Path
) -> None:
    days = Literal.crowd()
    days[1] = pa.concat_tables([days[1], events(ago(1), (FORGOTTEN, LONELY, "click"))])
    product = make({number: counted(rows) for number, rows in days.items()})
    by_quantity = tmp_path / "by_quantity.yml"
    by_quantity.write_text("datasets: {events: {clicks: {columns: {weight: quantity}}}}")
    with product.loading():
        assert product.run(*FIRST).code == 0
        trained = product.run_ids[-1]
        assert product.discovery("forget", str(FORGOTTEN), "--reason", "asked by letter").code == 0
        day = events(
            LAST, (CAME, 107, "click"), (CAME, 108, "click"), (ONLY_UNKNOWN, 999, "click"), (OLD, SEEN, "click")
        )
        write_day(Path(product.settings.data_root) / "clicks" / f"dt={LAST}", counted(day))
        ended = product.run("--as-of", str(NEXT), "--refresh")
        assert ended.code == 0, ended.log
        refreshed = product.run_ids[-1]
        again = product.run("--as-of", str(NEXT), "--refresh", "--overlay", str(by_quantity))
        assert again.code == 0, again.log
    assert rows(product, refreshed, "source_factors") == rows(product, trained, "source_factors")
    before, after = (factors(product, run) for run in (trained, refreshed))
    assert before.pop(FORGOTTEN), "LONELY had nobody else, and is of the training all the same"
    assert {user: after[user] for user in before} == before
    assert after.keys() - before.keys() == {CAME}
    assert factors(product, product.run_ids[-1]) == after  # of the training, however many refreshes lie between

    lists = {row["user_id"]: row for row in rows(product, refreshed, "lists")}
    mine = [source for source in lists[CAME]["source_ids"] if source in ODD]
    assert lists[CAME]["personal"]
    assert lists[CAME]["source_ids"][: len(mine)] == mine, "what the like-minded like comes first"
    assert not {107, 108} & {*lists[CAME]["source_ids"]}
    assert SEEN not in lists[OLD]["source_ids"]
    assert not lists[ONLY_UNKNOWN]["personal"]
    manifest = product.manifest(refreshed)
    training = manifest.fact("train", "training")
    assert (training["from_run"], training["new_users"], training["kept_users"]) == (trained, 1, 40)
    assert "which were judged when they were trained" in manifest.fact("train", "judged")["skipped"]
    shown = product.discovery("model", "show", "champion")
    assert "a refresh keeps the factors of version" in shown.out
    check_explanations(product, trained, refreshed, lists)


def check_explanations(product: Product, trained: str, refreshed: str, lists: dict[int, dict[str, Any]]) -> None:
    """Of a user of the training by its interactions, of one who came since by the refresh's own."""
    for user, basis in ((OLD, trained), (CAME, refreshed)):
        said = explained(product, user, "--run", refreshed)
        assert (said["kind"], said["basis"]["run"], said["basis"]["fault"]) == ("personal", basis, None)
        check_list(said, lists[user])
        assert said["pairs"]
        assert all(one["score"]["contributions"] for one in said["listed"])
    unknown = explained(product, ONLY_UNKNOWN, "--run", refreshed)
    assert (unknown["kind"], unknown["basis"]) == ("popular", None)
    check_list(unknown, lists[ONLY_UNKNOWN])
    for run in (trained, refreshed):
        forgotten = explained(product, FORGOTTEN, "--run", run)
        assert (forgotten["state"], forgotten["row"], forgotten["pairs"]) == ("forgotten", None, [])


def rows(product: Product, run: str, table: str) -> list[dict[str, Any]]:
    return product.folder(run).table(table).to_table().to_pylist()


def counted(rows: pa.Table) -> pa.Table:
    """The events with a column that would make each of them count a thousand times."""
    return rows.append_column("quantity", pa.array([1000.0] * len(rows)))


def factors(product: Product, run: str) -> dict[int, list[float]]:
    return {row["user_id"]: row["factors"] for row in rows(product, run, "user_factors")}
