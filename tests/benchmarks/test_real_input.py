"""Real data as datasets of the input contract, and the products that read them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.real_input import KNOWN, main
from conf.load import load_settings
from conf.share import EVERYBODY

_CONF = Path(__file__).parents[2] / "conf"
_ROWS = {
    "user_id": [1, 2, 1, 3],
    "item_id": [7, 8, 7, 9],
    "ts": [
        1704153599,  # 2024-01-01 23:59:59
        1704067200,  # 2024-01-01 00:00:00
        1704153600,  # 2024-01-02 00:00:00
        1704326400,  # 2024-01-04 00:00:00: nothing on the 3rd
    ],
    "event": ["main", "side", "main", "main"],
    "weight": [1, 2, 3, 4],
}


def _data(folder: Path, name: str, **changed: list[str]) -> Path:
    folder.mkdir()
    pq.write_table(pa.table({**_ROWS, **changed}), folder / f"{name}.parquet")
    return folder


def _partition(out: Path, day: str) -> pa.Table:
    assert (out / "events" / f"dt={day}" / "_SUCCESS").exists()
    return pq.ParquetFile(out / "events" / f"dt={day}" / "part-0.parquet").read()


def test_each_day_with_events_is_a_partition_in_order_of_time(tmp_path: Path) -> None:
    data, out = _data(tmp_path / "data", "deck_cards"), tmp_path / "out"
    assert main(["deck_cards", str(out), "--data", str(data)]) == 0
    assert sorted(path.name for path in (out / "events").iterdir()) == [
        "dt=2024-01-01",
        "dt=2024-01-02",
        "dt=2024-01-04",
    ]
    first = _partition(out, "2024-01-01")
    assert first.schema.names == ["user_id", "source_id", "event", "ts", "weight"]
    assert first.schema.types[:4] == [pa.int64(), pa.int64(), pa.string(), pa.timestamp("us", tz="UTC")]
    assert first["user_id"].to_pylist() == [2, 1]
    assert [ts.isoformat() for ts in first["ts"].to_pylist()] == [
        "2024-01-01T00:00:00+00:00",
        "2024-01-01T23:59:59+00:00",
    ]
    assert _partition(out, "2024-01-02")["weight"].to_pylist() == [3]
    assert _partition(out, "2024-01-04")["source_id"].to_pylist() == [9]


def test_users_become_strings_where_sources_are(tmp_path: Path) -> None:
    data, out = _data(tmp_path / "data", "online_retail", item_id=["85A", "B", "85A", "C"]), tmp_path / "out"
    assert main(["online_retail", str(out), "--data", str(data)]) == 0
    assert _partition(out, "2024-01-04").slice(0, 1).to_pylist()[0]["user_id"] == "3"
    assert _partition(out, "2024-01-04")["source_id"].to_pylist() == ["C"]


def test_missing_data_and_a_folder_in_the_way_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["deck_cards", str(out), "--data", str(tmp_path)]) == 2
    assert "deck_cards.parquet is missing" in capsys.readouterr().err
    (out / "events").mkdir(parents=True)
    assert main(["deck_cards", str(out), "--data", str(_data(tmp_path / "data", "deck_cards"))]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize("name", KNOWN)
def test_the_product_of_each_data_set_reads_what_is_written(name: str) -> None:
    product, quarter = _CONF / f"{name}.yml", _CONF / "overlays" / "90days.yml"
    settings = load_settings(product)
    assert settings.product == name
    assert settings.ids == KNOWN[name].ids
    assert settings.schedule is None
    assert settings.datasets.events["events"].path == "events"
    assert settings.datasets.events["events"].window == "14 days ago:today"
    assert set(KNOWN[name].positive) == {event for event, w in settings.interactions.event_weights.items() if w > 0}
    assert load_settings(product, [quarter]).datasets.events["events"].window == "90 days ago:today"


def test_the_demo_serves_everybody() -> None:
    settings = load_settings(_CONF / "prod_discovery.yml", [_CONF / "overlays" / "demo.yml"])
    assert settings.rollout.max_manual_share == settings.rollout.share == EVERYBODY
    assert settings.publish.load_deadline_seconds == 120
