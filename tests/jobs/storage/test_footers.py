"""What may lie in a dataset's folder, and what is refused by its name before Spark is needed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from conf.windows import Window
from features.errors import BrokenPartitionError, FeaturesError, MissingDatasetError, MissingDaysError
from features.reading.dataset import enforce_policy, plan_dataset
from tests.features.world import AS_OF, ago, dataset, events
from tests.jobs.days import dry, write_day


def test_footers_need_no_spark_and_only_the_days_asked_for_are_opened(tmp_path: Path) -> None:
    root = tmp_path / "data/clicks"
    write_day(root, ago(1), events(ago(1), (1, 2, "like")))
    (write_day(root, ago(40), events(ago(40))) / "part-0.parquet").write_bytes(b"would be broken")
    catalog = dry(tmp_path)
    (part,) = catalog.partitions(dataset(), [ago(1), ago(2)]).finished
    assert (part.rows, part.bytes) == (1, (root / f"dt={ago(1)}/part-0.parquet").stat().st_size)
    assert catalog.days(dataset()) == (ago(40), ago(1))


def test_every_day_gets_its_own_files_whatever_lies_in_the_days_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "data/clicks"
    for days, files in ((5, 3), (4, 0), (3, 1), (2, 2), (1, 0)):
        folder = write_day(root, ago(days), events(ago(days), *[(1, 2, "like")] * days))
        for number in range(files):
            shutil.copy(folder / "part-0.parquet", folder / f"part-{number + 1}.parquet")
        if not files:
            (folder / "part-0.parquet").unlink()
    (root / f"dt={ago(3)}/_SUCCESS").unlink()
    found = dry(tmp_path).partitions(dataset(), [ago(days) for days in range(1, 7)])
    named = [(part.day, part.rows, [file.path.partition("/")[0] for file in part.files]) for part in found.finished]
    assert named == [(ago(n), n * files, [f"dt={ago(n)}"] * files) for n, files in ((5, 4), (4, 0), (2, 3), (1, 0))]
    assert found.unfinished == (ago(3),)
    assert len({part.fingerprint for part in found.finished if part.files}) == 2


@pytest.mark.parametrize("keep", [0, 4, -9])  # nothing, the first bytes, all but the last nine
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    file = write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like"))) / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(BrokenPartitionError, match=rf"clicks.*dt={ago(1)}/part-0.parquet.*write the day again"):
        dry(tmp_path).partitions(dataset(), [ago(1)])


def test_hidden_files_and_other_folders_are_not_data(tmp_path: Path) -> None:
    root = tmp_path / "data/clicks"
    folder = write_day(root, ago(1), events(ago(1), (1, 2, "like")))
    for name in ("_committed_1", ".part-0.parquet.crc"):
        (folder / name).write_bytes(b"not Parquet")
    for name in ("dt=2026-02-31", "dt=__HIVE_DEFAULT_PARTITION__", "_temporary", "dt=2026-11-1"):
        (root / name).mkdir()
    catalog = dry(tmp_path)
    assert catalog.days(dataset()) == (ago(1),)
    assert len(catalog.partitions(dataset(), [ago(1)]).finished[0].files) == 1


def test_a_marker_of_another_name_or_none(tmp_path: Path) -> None:
    folder = write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like")))
    (folder / "_SUCCESS").unlink()
    catalog = dry(tmp_path)
    assert catalog.partitions(dataset(), [ago(1)]).unfinished == (ago(1),)
    assert len(catalog.partitions(dataset(success_marker=None), [ago(1)]).finished) == 1
    (folder / "done").touch()
    with pytest.raises(BrokenPartitionError, match="done"):  # a marker that Spark would read as data
        catalog.partitions(dataset(success_marker=None), [ago(1)])
    assert len(catalog.partitions(dataset(success_marker="done"), [ago(1)]).finished[0].files) == 1


def test_rewriting_a_file_changes_the_fingerprint(tmp_path: Path) -> None:
    folder = write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like")))
    before = dry(tmp_path).partitions(dataset(), [ago(1)]).finished[0].fingerprint
    pq.write_table(events(ago(1), (1, 3, "like")), folder / "part-0.parquet")  # as long as before
    assert dry(tmp_path).partitions(dataset(), [ago(1)]).finished[0].fingerprint != before


def spoiled(tmp_path: Path, spoil: Callable[[Path], object]) -> str:
    """What is said of a sound day after `spoil` of its folder."""
    spoil(write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like"))))
    with pytest.raises(FeaturesError) as error:
        dry(tmp_path).partitions(dataset(), [ago(1)])
    assert error.value.exit_code == 2
    return str(error.value)


def turn_into_file(day: Path) -> None:
    shutil.rmtree(day)
    day.touch()


def turn_into_link(day: Path) -> None:
    shutil.rmtree(day)
    day.symlink_to("nowhere")


DAY = f"dt={ago(1)}"
IN_A_DAY: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "a link to nothing": (
        lambda day: (day / "b.parquet").symlink_to("gone.parquet"),
        (f"{DAY}/b.parquet is a link to what is not there", "restore its target, or write the day again"),
    ),
    "a link to itself": (
        lambda day: (day / "b.parquet").symlink_to("b.parquet"),
        (f"{DAY}/b.parquet is a link to what is not there",),
    ),
    "a pipe": (lambda day: os.mkfifo(day / "b"), (f"{DAY}/b is neither a file nor a folder", "remove it")),
    "a folder": (lambda day: (day / "hour=3").mkdir(), (f"{DAY}/hour=3 is a folder", "straight into the day")),
    "a copy under way": (
        lambda day: (day / "b.parquet._COPYING_").write_bytes(b""),
        (f"{DAY}/b.parquet._COPYING_ is an unfinished copy", "delete it"),
    ),
    "a colon beside a bracket": (
        lambda day: shutil.copy(day / "part-0.parquet", day / "10:00[1].parquet"),
        (f"{DAY}/10:00[1].parquet: a path with a colon and one of", "rename the file"),
    ),
    "no UTF-8": (
        lambda day: Path(os.fsdecode(bytes(day) + b"/a\xff.parquet")).touch(),
        (f"{DAY} holds a name that is not UTF-8", r"a\xff.parquet", "rename it"),
    ),
    "a day that is a file": (turn_into_file, (f"{DAY} is a file; let it be a folder",)),
    "a day that is a lost link": (turn_into_link, (f"{DAY} is a link to what is not there; let it be a folder",)),
}


@pytest.mark.parametrize("fault", IN_A_DAY)
def test_what_is_no_data_is_refused_by_its_name(tmp_path: Path, fault: str) -> None:
    spoil, told = IN_A_DAY[fault]
    said = spoiled(tmp_path, spoil)
    assert [words for words in ("'clicks'", *told) if words not in said] == [], said


def iceberg(folder: Path) -> None:
    (folder / "metadata").mkdir()
    (folder / "metadata/v1.metadata.json").write_text("{}")


@pytest.mark.parametrize(
    ("path", "log", "kind"),
    [
        ("clicks", lambda root: (root / "clicks/_delta_log").mkdir(), "clicks is a Delta table"),
        ("clicks", lambda root: (root / "clicks/.hoodie").mkdir(), "clicks is a Hudi table"),
        ("clicks", lambda root: (root / "clicks/_spark_metadata").mkdir(), "clicks is a table of Spark's structured"),
        ("clicks", lambda root: iceberg(root / "clicks"), "clicks is an Iceberg table"),
        ("t/data", lambda root: iceberg(root / "t"), "data/t is an Iceberg table"),
        ("t/p=1/q=2", lambda root: (root / "t/_delta_log").mkdir(), "data/t is a Delta table"),
    ],
)
def test_tables_with_a_log(tmp_path: Path, path: str, log: Callable[[Path], object], kind: str) -> None:
    write_day(tmp_path / "data" / path, ago(1), events(ago(1), (1, 2, "like")))
    catalog, clicks = dry(tmp_path), dataset(path=path)
    assert len(catalog.partitions(clicks, [ago(1)]).finished) == 1
    log(tmp_path / "data")
    with pytest.raises(MissingDatasetError, match=rf"'{path}': .*{kind}.*export it as plain Parquet"):
        catalog.partitions(clicks, [ago(1)])


def test_metadata_of_another_kind_is_no_iceberg(tmp_path: Path) -> None:
    write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like")))
    (tmp_path / "data/clicks/metadata").mkdir()
    assert dry(tmp_path).days(dataset()) == (ago(1),)


def test_a_dataset_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pq.write_table(events(ago(1)), tmp_path / "data/clicks")
    with pytest.raises(MissingDatasetError, match=r"'clicks' is not a folder: .*/data/clicks; let the path name"):
        dry(tmp_path).days(dataset())


NEARLY = ["dt=20261115", "DT=2026-11-15", "date=2026-11-15", "2026-11-15", "dt=2026-11-15 00%3A00", "dt =2026_11_15"]


@pytest.mark.parametrize("name", NEARLY)
def test_a_folder_that_nearly_is_a_day_is_named_where_the_day_is_missing(tmp_path: Path, name: str) -> None:
    root = tmp_path / "data/clicks"
    for days in (1, 2, 3):
        write_day(root, ago(days), events(ago(days), (1, 2, "like")))
    (root / f"dt={ago(1)}").rename(root / name)
    for stranger in ("dt=2026-02-31", "part-2026", "dt=2026-11-1x", "v20261399", "dt=20260101"):
        (root / stranger).mkdir()
    clicks = dataset()
    plan = plan_dataset("clicks", clicks, Window.parse(clicks.window, AS_OF), dry(tmp_path))
    assert plan.missing == (ago(1),)
    told = rf"1 missing: {ago(1)}\. Only .* are days; there are '{name}' \(write dt={ago(1)}\)"
    with pytest.raises(MissingDaysError, match=told):
        enforce_policy(plan, clicks)
