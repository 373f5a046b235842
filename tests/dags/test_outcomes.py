"""The daily DAG that lands what was answered and measures what users did with it."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from conftest import PRODUCT, Bag, dag_run, rendered

ENABLED = "exposures: {enabled: true}\n"


def load(bag: Bag, folder: Path, text: str, name: str = "music") -> Any:
    (folder / f"{name}.yml").write_text(PRODUCT.format(name=name) + text)
    return bag(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exposures: {enabled: false}",
        "exposures: {queue: 5}",
        "exposures: yes",
        f"{ENABLED}dag: {{outcomes_schedule: null}}",
    ],
)
def test_without_exposures_there_is_none(bag: Bag, tmp_path: Path, text: str) -> None:
    loaded = load(bag, tmp_path, text)
    assert (loaded.dag_ids, loaded.import_errors) == (["music"], {})


def test_it_lands_then_measures_the_day_that_is_over(bag: Bag, tmp_path: Path) -> None:
    loaded = load(bag, tmp_path, ENABLED)
    assert (sorted(loaded.dag_ids), loaded.import_errors) == (["music", "music_outcomes"], {})
    dag = loaded.dags["music_outcomes"]
    land, measure = dag.topological_sort()
    assert (land.task_id, measure.task_id, land.downstream_task_ids) == (
        "land_exposures",
        "measure_outcomes",
        {"measure_outcomes"},
    )
    assert (dag.timetable.summary, dag.catchup, dag.max_active_runs) == ("0 5 * * *", False, 1)
    assert land.command[1:] == ["exposures", "land", "--config", str(tmp_path / "music.yml")]
    assert measure.trigger_rule == "all_done"
    assert (measure.retries, measure.wait_retries) == (14, 12)
    five = dt.datetime(2026, 11, 17, 5, tzinfo=dt.UTC)
    task = rendered(dag, "measure_outcomes", run=dag_run(dag, run_after=five, end=five))
    assert task.application.endswith("jobs/measure_outcomes.py")
    assert task.application_args == ["--config", str(tmp_path / "music.yml"), "--day", "2026-11-16"]


def test_keys_of_dag_reach_it(bag: Bag, tmp_path: Path) -> None:
    keys = "dag: {outcomes_schedule: 30 4 * * *, land_exposures_minutes: 7, measure_outcomes_minutes: 9, pool: spark}"
    dag = load(bag, tmp_path, f"{ENABLED}{keys}").dags["music_outcomes"]
    assert dag.timetable.summary == "30 4 * * *"
    limits = [task.execution_timeout / dt.timedelta(minutes=1) for task in dag.topological_sort()]
    assert (limits, {task.pool for task in dag.tasks}) == ([7, 9], {"spark"})


def test_no_product_is_called_like_it(bag: Bag, tmp_path: Path) -> None:
    load(bag, tmp_path, ENABLED)
    loaded = load(bag, tmp_path, "", name="music_outcomes")
    assert "product 'music_outcomes' is already that of music.yml" in loaded.import_errors["broken_products.py"]
