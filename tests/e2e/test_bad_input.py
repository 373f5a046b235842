"""Bad input ends a run early: its message says what, where and what to do, and the outside world sees nothing."""

import itertools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.ports import choose_ports
from jobs.build_features import build_features
from jobs.prod_discovery import discover
from jobs.run import Run
from tests.e2e.conftest import LAST, Literal, write_day, write_days
from tests.e2e.product import Ended, Product, Servers
from tests.features.world import ago, at, events, table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIRST = ("--as-of", str(LAST), "--first")
Make = Callable[..., Product]
Spoil = Callable[[Path], object]
_NUMBERS = itertools.count()


@pytest.fixture
def make(servers: Servers, tmp_path: Path) -> Make:
    """Makes a product that reads `days` of clicks (a sound crowd unless given), with changes to that dataset."""

    def build(days: Mapping[int, pa.Table] | None = None, **clicks: Any) -> Product:
        name, data = f"bad_{next(_NUMBERS)}", tmp_path / "data"
        settings = write_days(data, Literal.crowd() if days is None else days, product=name, **clicks)
        return Product.create(servers, tmp_path / "home", settings)

    return build


def refused(product: Product, *flags: str, code: int = 1, said: tuple[str, ...], work: Any = discover) -> Ended:
    """Runs the product, which must end with `code`, say all of it, and change nothing that others can see."""
    before = product.published()
    ended = product.run(*(flags or FIRST), work=work)
    assert ended.code == code, ended.log
    told = ended.log[ended.log.index("error     ") :]
    assert [words for words in said if words not in told] == [], told
    assert "Traceback" not in ended.log
    assert product.published() == before
    return ended


def clicks_of(product: Product) -> Path:
    return Path(product.settings.data_root) / "clicks"


def day_of(product: Product, days_ago: int = 2) -> Path:
    return clicks_of(product) / f"dt={ago(days_ago)}"


def rewrite(file: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(file)), file)


def retype(column: str, type_: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        return rows.set_column(rows.schema.names.index(column), column, rows[column].cast(type_))

    return change


def truncate(day: Path) -> None:
    file = day / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-20])


def empty_all(day: Path) -> None:
    for file in day.parent.rglob("*.parquet"):
        rewrite(file, lambda rows: rows.slice(0, 0))


def age_all(day: Path) -> None:
    for folder in list(day.parent.iterdir()):
        folder.rename(folder.with_name(folder.name.replace("2026", "2025")))


def rename_user(rows: pa.Table) -> pa.Table:
    return rows.rename_columns(["userid", *rows.schema.names[1:]])


DAY, FILE = f"{ago(2)}", f"dt={ago(2)}/part-0.parquet"
FILES: dict[str, tuple[Spoil, tuple[str, ...]]] = {  # fault → what happens to the day before yesterday, what is said
    "missing dataset folder": (
        lambda day: shutil.rmtree(day.parent),
        ("'clicks' does not exist", "/data/clicks", "correct the path or run its export"),
    ),
    "no partition in the window": (
        age_all,
        ("'clicks'", "nothing to read: 3 missing", "Let the export run, or correct the path"),
    ),
    "empty partitions": (empty_all, ("'clicks'", "nothing to read: 3 empty", "Let the export run")),
    "one day missing": (shutil.rmtree, (f"1 missing: {DAY}", "set on_missing to wait or shrink")),
    "no _SUCCESS": (lambda day: (day / "_SUCCESS").unlink(), ("unfinished (no _SUCCESS)", DAY, "Let the export run")),
    "truncated file": (truncate, ("'clicks'", FILE, "truncated or no Parquet file: write the day again")),
    "missing column": (
        lambda day: rewrite(day / "part-0.parquet", lambda rows: rows.drop_columns("ts")),
        (FILE, "no column 'ts'", "set columns.ts of dataset 'clicks'"),
    ),
    "renamed column": (
        lambda day: rewrite(day / "part-0.parquet", rename_user),
        (FILE, "no column 'user_id', near it: 'userid'", "set columns.user_id of dataset 'clicks'"),
    ),
    "wrong type": (
        lambda day: rewrite(day / "part-0.parquet", retype("ts", pa.int64())),
        (FILE, "column 'ts' is int64, must be a timestamp"),
    ),
    "wrong kind of ids": (
        lambda day: rewrite(day / "part-0.parquet", retype("user_id", pa.string())),
        (FILE, "column 'user_id' is string, must be an integer", "the kind of ids that its `ids` says"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FILES)
def test_files_that_names_and_footers_give_away(make: Make, fault: str) -> None:
    product, (spoil, said) = make(), FILES[fault]
    spoil(day_of(product))
    ended = refused(product, said=said)
    (run,) = product.run_ids
    assert product.manifest(run).stages == {}
    assert product.manifest(run).failure is not None
    assert run in ended.log  # to go on with, once the input is right
    assert not (product.home / "partials").exists()
    dry = product.run("--as-of", str(LAST), "--dry-run")
    assert dry.code == 1
    assert [words for words in said if words not in dry.log] == []


def test_wait_comes_back_later(make: Make) -> None:
    product = make(on_missing="wait")
    shutil.rmtree(day_of(product))
    refused(product, code=75, said=(f"1 missing: {DAY}", "Run again when they have arrived"))


def test_shrink_has_a_limit(make: Make) -> None:
    product = make(on_missing="shrink", max_missing_days=1)
    shutil.rmtree(day_of(product, 1))
    shutil.rmtree(day_of(product, 2))
    refused(product, said=(f"2 missing: {ago(2)}, {ago(1)}", "At most 1 may be (max_missing_days)"))


def test_shrink_goes_on_and_says_so(make: Make, shared_spark: "SparkSession") -> None:
    product = make(on_missing="shrink", max_missing_days=1)
    shutil.rmtree(day_of(product))
    ended = product.run(*FIRST, work=build_features)
    assert ended.code == 0, ended.log
    (record,) = product.manifest(product.run_ids[0]).fact("features", "inputs")
    assert record["missing"] == [DAY]
    assert [day["day"] for day in record["days"]] == [str(ago(3)), str(ago(1))]


def test_int_ids_in_one_dataset_and_strings_in_another(make: Make) -> None:
    product = make()
    days = {number: retype("source_id", pa.string())(rows) for number, rows in Literal.crowd().items()}
    for number, rows in days.items():
        write_day(clicks_of(product).parent / "joins" / f"dt={ago(number)}", rows)
    joins = {"path": "joins", "window": "3 days ago:today"}
    both = product.change({"datasets": {"events": {"joins": joins}}})
    refused(both, said=("'joins'", "column 'source_id' is string, must be an integer", "the kind of ids"))


def test_an_empty_window(make: Make) -> None:
    refused(make(window="today:today"), code=2, said=("window", "is empty: its start must be before its end"))


NOBODY = (None, 101, "click", at(ago(1)))
ROWS: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {  # fault → a row of yesterday, what is said
    "null user": (NOBODY, ("'clicks'", str(ago(1)), "user_id", "bad_row_budget")),
    "null source": ((1, None, "click", at(ago(1))), ("'clicks'", str(ago(1)), "source_id", "bad_row_budget")),
    "event without a weight": (
        (1, 101, "lick", at(ago(1))),
        ("'clicks'", "without a weight: 'lick' (1 events)", "interactions.event_weights", "ignore_events"),
    ),
    "another day": ((1, 101, "click", at(ago(2))), ("'clicks'", str(ago(1)), "ts", "bad_row_budget")),
}  # fmt: skip


@pytest.mark.parametrize("fault", ROWS)
def test_rows_that_must_not_be(make: Make, fault: str, shared_spark: "SparkSession") -> None:
    days, (row, said) = Literal.crowd(), ROWS[fault]
    days[1] = pa.concat_tables([days[1], table(days[1].schema, row)])
    product = make(days)
    refused(product, said=said)
    assert not product.folder(product.run_ids[0]).exists("interactions")


FLAGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "future": (("--as-of", "2999-01-01"), ("--as-of 2999-01-01 is in the future", "have not happened yet")),
    "malformed": (("--as-of", "16.11.2026"), ("--as-of '16.11.2026' is not a day", "write YYYY-MM-DD")),
    "below 0": ((*FIRST, "--audience-share", "-0.1"), ("share -10 % is outside 0 … 100 %",)),
    "above 1": ((*FIRST, "--audience-share", "1.5"), ("share 150 % is outside 0 … 100 %",)),
    "too much by hand": (
        (*FIRST, "--audience-share", "0.5"),
        ("--audience-share 50 %", "rollout.max_manual_share = 25 %", "or let the scheduler start the run"),
    ),
    "unknown flag": ((*FIRST, "--frist"), ("--frist", "--help")),
    "no such file": ((*FIRST, "--overlay", "nowhere.yml"), ("nowhere.yml: cannot be read",)),
}


@pytest.mark.parametrize("fault", FLAGS)
def test_flags(make: Make, fault: str) -> None:
    product = make().change({"rollout": {"max_manual_share": 0.25}})
    flags, said = FLAGS[fault]
    refused(product, *flags, code=2, said=said)
    assert product.run_ids == []


def test_an_unknown_key(make: Make) -> None:
    product = make()
    (product.home / "typo.yml").write_text("lists: {sise: 3, n: 5}")
    said = ("typo.yml", "unknown key 'lists.sise'", "fallback_size")
    refused(product, *FIRST, "--overlay", str(product.home / "typo.yml"), code=2, said=said)
    assert product.run_ids == []


@pytest.mark.parametrize(
    ("variable", "address", "code", "said"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:{port}", 1, ("Kafka at 127.0.0.1:", "start it, or check KAFKA_")),
        ("REDIS_URL", "redis://u:hunter2@127.0.0.1:{port}/0", 1, ("Redis at redis://***@127.0.0.1:", "start it")),
        ("MLFLOW_TRACKING_URI", "http://u:hunter2@127.0.0.1:{port}", 1, ("MLflow at http://127.0.0.1:", "is up")),
        ("KAFKA_BOOTSTRAP_SERVERS", "", 2, ("KAFKA_BOOTSTRAP_SERVERS is not set", "`make up`")),
        ("REDIS_URL", "", 2, ("REDIS_URL is not set", "`make up`")),
        ("DISCOVERY_HOME", "/proc/discovery", 1, ("work folder /proc/discovery cannot be written", "DISCOVERY_HOME")),
    ],
)  # fmt: skip
def test_a_server_that_is_down_is_told_before_any_work(
    make: Make, tmp_path: Path, variable: str, address: str, code: int, said: tuple[str, ...]
) -> None:
    product = make()
    shutil.rmtree(clicks_of(product))  # a run that looked at its datasets would say so
    (port,) = choose_ports(tmp_path / "ports", 1)  # free, so nobody answers there
    ended = refused(replace(product, variables={variable: address.format(port=port)}), code=code, said=said)
    assert "hunter2" not in ended.log
    assert "features" not in ended.log
    assert not (product.home / "runs").exists()
    assert not (product.home / "partials").exists()


def test_a_full_disk_and_on_with_it(make: Make, shared_spark: "SparkSession") -> None:
    product, run = make(), "20261116T030000Z-20261116-1"
    folder = product.home / "runs" / product.name / run
    folder.mkdir(parents=True)
    full = folder / "gate_interactions.json.part"
    full.symlink_to("/dev/full")  # the system answers each write to it with ENOSPC
    said = ("the disk is full", "free space where DISCOVERY_HOME", "again with the same --run-id")
    refused(product, *FIRST, "--run-id", run, said=said)
    assert product.manifest(run).stages == {}
    full.unlink(missing_ok=True)
    ended = product.run(*FIRST, "--run-id", run, work=build_features)
    assert ended.code == 0, ended.log
    assert product.manifest(run).failure is None


def by_the_jvm(run: Run) -> None:
    stream = run.spark._jvm.java.io.FileWriter("/dev/full")
    stream.write("x")
    stream.flush()


def by_a_worker(run: Run) -> None:
    run.spark.range(1).foreachPartition(lambda rows: Path("/dev/full").write_text("x"))


@pytest.mark.parametrize("work", [by_the_jvm, by_a_worker])
def test_a_disk_that_spark_finds_full(make: Make, work: Callable[[Run], None], shared_spark: "SparkSession") -> None:
    said = ("the disk is full", "No space left on device", "free space where DISCOVERY_HOME and SPARK_LOCAL_DIRS lie")
    refused(make(), said=said, work=work)


def test_two_runs_at_once(make: Make) -> None:
    product, second = make(), []

    def meanwhile(run: Run) -> None:
        second.append((run.run_id, product.run("--as-of", str(ago(1)), "--first")))

    assert product.run(*FIRST, work=meanwhile).code == 0
    ((first_run, ended),) = second
    assert ended.code == 1
    assert f"one run at a time, and the lease is held by run {first_run}" in ended.log
    assert "wait for it or stop it" in ended.log
    assert product.run_ids == [first_run]


def test_a_user_who_has_seen_everything_and_long_lists(make: Make, shared_spark: "SparkSession") -> None:
    days = {
        3: events(ago(3), (1, 101, "click"), (2, 101, "click"), (3, 102, "click")),
        2: events(ago(2), (1, 102, "click"), (2, 102, "click")),
        1: events(ago(1), (1, 103, "click")),  # user 1 knows all three, user 2 two of them, user 3 one
    }
    product = make(days).change({"lists": {"n": 1000, "fallback_size": 1000}})
    serve(product)
    answers = {user: product.reader.lookup(user) for user in (1, 2, 3, 4)}
    assert (answers[1].source, answers[1].source_ids) == ("list", ())
    assert (answers[2].source, answers[2].source_ids) == ("list", (103,))
    assert (answers[3].source, set(answers[3].source_ids)) == ("list", {101, 103})
    assert (answers[4].source, answers[4].source_ids) == ("fallback", (102, 101, 103))


@pytest.mark.parametrize("pairs", [[(1, 101), (1, 102)], [(1, 101), (2, 101)]], ids=["one user", "one source"])
def test_the_smallest_worlds_serve(make: Make, pairs: list[tuple[int, int]], shared_spark: "SparkSession") -> None:
    product = make({day: events(ago(day), *((*pair, "click") for pair in pairs)) for day in (3, 2, 1)})
    serve(product)
    for user, _ in pairs:
        answer = product.reader.lookup(user)
        assert (answer.source, answer.source_ids) == ("list", ())  # they know all that there is
    assert set(product.reader.lookup(9).source_ids) == {source for _, source in pairs}


def serve(product: Product) -> None:
    with product.loading():
        ended = product.run(*FIRST)
    assert ended.code == 0, ended.log
