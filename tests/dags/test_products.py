"""Which DAGs the product files give, and how they are built."""

import ast
import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MONDAY, PRODUCT, REPO, Bag

ORDER = ["build_features", "train_embeddings", "precompute_topn", "publish_topn", "wait_until_serving"]


def write(folder: Path, name: str, text: str = "", *, product: str = "") -> Path:
    path = folder / f"{name}.yml"
    path.write_text(PRODUCT.format(name=product or name) + text)
    return path


def minutes(number: float) -> dt.timedelta:
    return dt.timedelta(minutes=number)


def test_the_repository_has_one_dag_per_scheduled_product_and_no_import_error(bag: Bag) -> None:
    loaded = bag(REPO / "conf")
    assert loaded.import_errors == {}
    assert "prod_discovery" in loaded.dag_ids


def test_tasks_stand_in_one_row(bag: Bag) -> None:
    dag = bag(REPO / "conf").dags["prod_discovery"]
    assert [task.task_id for task in dag.topological_sort()] == ORDER
    assert [sorted(task.downstream_task_ids) for task in dag.topological_sort()] == [
        *([name] for name in ORDER[1:]),
        [],
    ]


def test_one_active_run_no_catch_up_and_limits_everywhere(bag: Bag, tmp_path: Path) -> None:
    write(tmp_path, "music")
    dag = bag(tmp_path).dags["music"]
    assert (dag.max_active_runs, dag.catchup, dag.dagrun_timeout) == (1, False, dt.timedelta(days=1))
    assert all(task.execution_timeout for task in dag.tasks)
    assert {task.task_id: task.retries for task in dag.tasks} == dict.fromkeys(ORDER, 2) | {"build_features": 14}
    train = dag.get_task("train_embeddings")
    assert (train.retry_delay, train.retry_exponential_backoff, train.max_retry_delay) == (minutes(5), 2, minutes(60))
    build = dag.get_task("build_features")
    assert (build.retry_delay, build.retry_exponential_backoff, build.wait_retries) == (minutes(30), 0, 12)


def test_every_dag_key_reaches_the_dag(bag: Bag, tmp_path: Path) -> None:
    limits = {f"{name}_minutes": 10 * (place + 1) for place, name in enumerate(ORDER)}
    keys = {
        **limits,
        "retries": 4,
        "retry_minutes": 0.5,
        "max_retry_minutes": 7,
        "wait_retries": 3,
        "wait_minutes": 11,
        "run_minutes": 600,
        "pool": "spark",
        "driver_memory": "2g",
    }
    write(tmp_path, "music", f"dag: {keys}")
    loaded = bag(tmp_path)
    assert loaded.import_errors == {}
    dag = loaded.dags["music"]
    assert {f"{task.task_id}_minutes": task.execution_timeout / minutes(1) for task in dag.tasks} == limits
    assert dag.dagrun_timeout == minutes(600)
    assert {task.pool for task in dag.tasks} == {"spark"}
    build, publish = dag.get_task("build_features"), dag.get_task("publish_topn")
    assert (build.retries, build.retry_delay) == (7, minutes(11))
    assert (publish.retries, publish.retry_delay, publish.max_retry_delay) == (4, minutes(0.5), minutes(7))
    assert publish._driver_memory == "2g"


def test_the_run_of_monday_covers_the_week_before_it(bag: Bag) -> None:
    from airflow.timetables.base import DataInterval, TimeRestriction
    from pendulum import instance

    timetable = bag(REPO / "conf").dags["prod_discovery"].timetable
    monday = instance(MONDAY)
    week = DataInterval(start=monday.subtract(weeks=1), end=monday)
    before = DataInterval(start=monday.subtract(weeks=2), end=monday.subtract(weeks=1))
    restriction = TimeRestriction(earliest=None, latest=None, catchup=True)  # what would follow, whatever today is
    following = timetable.next_dagrun_info(last_automated_data_interval=before, restriction=restriction)
    assert (following.data_interval, following.run_after) == (week, monday)
    assert timetable.infer_manual_data_interval(run_after=monday) == week
    assert timetable.infer_manual_data_interval(run_after=monday.add(days=3)) == week


def test_a_second_product_file_is_a_second_dag(bag: Bag, tmp_path: Path) -> None:
    write(tmp_path, "groups")
    write(tmp_path, "music")
    (tmp_path / "by_hand.yml").write_text("product: by_hand\n")  # no schedule
    (tmp_path / "overlays").mkdir()
    write(tmp_path / "overlays", "small", product="games")  # not in the folder itself
    loaded = bag(tmp_path)
    assert (sorted(loaded.dag_ids), loaded.import_errors) == (["groups", "music"], {})


def test_a_refresh_schedule_is_a_second_dag_of_the_product(bag: Bag, tmp_path: Path) -> None:
    write(tmp_path, "music", "dag: {refresh_schedule: 0 3 * * TUE-SUN, retries: 4}")
    loaded = bag(tmp_path)
    assert (sorted(loaded.dag_ids), loaded.import_errors) == (["music", "music_refresh"], {})
    weekly, refresh = loaded.dags["music"], loaded.dags["music_refresh"]
    assert (weekly.timetable.summary, refresh.timetable.summary) == ("0 3 * * MON", "0 3 * * TUE-SUN")
    assert (weekly.params["refresh"], refresh.params["refresh"]) == (False, True)
    assert [task.task_id for task in refresh.topological_sort()] == ORDER
    assert refresh.get_task("publish_topn").retries == 4


def test_no_product_is_called_like_the_second_dag_of_another(bag: Bag, tmp_path: Path) -> None:
    write(tmp_path, "music", "dag: {refresh_schedule: 0 3 * * TUE-SUN}")
    write(tmp_path, "music_refresh")
    loaded = bag(tmp_path)
    assert sorted(loaded.dag_ids) == ["music", "music_refresh"]
    problem = loaded.import_errors["broken_products.py"]
    assert "music_refresh.yml: product 'music_refresh' is already that of music.yml" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("product: [", "is not YAML"),
        ("- product", "must hold keys and values, holds list"),
        ("schedule: 0 3 * * MON", "product: Field required"),
        ("product: Games\nschedule: 0 3 * * MON", "product: 'Games' must be lower-case letters"),
        ("product: games\nschedule: 3", "schedule: Input should be a valid string (got 3)"),
        ("product: games\nschedule: mondays", "schedule: 'mondays' is not a cron expression"),
        ("product: games\nschedule: 61 3 * * MON", "schedule: '61 3 * * MON' is not a cron expression"),
        ("product: games\nschedule: '@once'", "schedule: '@once' is not a cron expression"),
        ("product: music\nschedule: 0 3 * * MON", "product 'music' is already that of a_music.yml"),
        (
            PRODUCT.format(name="games") + "dag: 3",
            "dag: Input should be a valid dictionary or instance of DagSettings (got 3)",
        ),
        (PRODUCT.format(name="games") + "dag: {retrys: 3}", "unknown key 'dag.retrys'; did you mean 'retries'?"),
        (PRODUCT.format(name="games") + "dag: {xyz: 3}", "unknown key 'dag.xyz'; known here: retries, "),
        (PRODUCT.format(name="games") + "dag: {3: 3}", "line 4: the key 3 is a number to YAML; quote it"),
        (PRODUCT.format(name="games") + "dag: {retries: 010}", "line 4: 010 is no decimal number"),
        (PRODUCT.format(name="games") + "dag: {retries: 3}\ndag: {pool: p}", "line 5: the key 'dag' stands twice"),
        (
            PRODUCT.format(name="games") + "dag: {retries: two}",
            "dag.retries: Input should be a valid integer (got 'two')",
        ),
        (
            PRODUCT.format(name="games") + "dag: {retries: 1.5}",
            "dag.retries: Input should be a valid integer (got 1.5)",
        ),
        (
            PRODUCT.format(name="games") + "dag: {retries: true}",
            "dag.retries: Input should be a valid integer (got True)",
        ),
        (
            PRODUCT.format(name="games") + "dag: {retries: -1}",
            "dag.retries: Input should be greater than or equal to 0 (got -1)",
        ),
        (
            PRODUCT.format(name="games") + "dag: {run_minutes: 0}",
            "dag.run_minutes: Input should be greater than 0 (got 0)",
        ),
        (
            PRODUCT.format(name="games") + "dag: {run_minutes: .inf}",
            "dag.run_minutes: Input should be less than or equal to 43200 (got inf)",
        ),
        (
            PRODUCT.format(name="games") + "dag: {run_minutes: .nan}",
            "dag.run_minutes: Input should be less than or equal to 43200 (got nan)",
        ),
        (
            PRODUCT.format(name="games") + f"dag: {{run_minutes: 1{'0' * 400}}}",
            "dag.run_minutes: Input should be a valid number (got 1000",
        ),
        (PRODUCT.format(name="games") + "dag: {pool: null}", "dag.pool: Input should be a valid string (got None)"),
        (
            PRODUCT.format(name="games") + "dag: {driver_memory: 4}",
            "dag.driver_memory: Input should be a valid string (got 4)",
        ),
        (
            PRODUCT.format(name="games") + "dag: {refresh_schedule: daily}",
            "dag.refresh_schedule: 'daily' is not a cron",
        ),
        (PRODUCT.format(name="games") + "dag: {retries: 101, poool: p}", "dag.retries: Input should be less than"),
    ],
)
def test_a_broken_file_is_an_import_error_and_the_other_products_keep_their_dags(
    bag: Bag, tmp_path: Path, text: str, said: str
) -> None:
    write(tmp_path, "a_music", product="music")
    (tmp_path / "b_games.yml").write_text(text)
    loaded = bag(tmp_path)
    assert loaded.dag_ids == ["music"]
    [(file, problem)] = loaded.import_errors.items()
    assert file == "broken_products.py"  # not the file of the DAGs: Airflow would stop all of them
    assert f"{tmp_path / 'b_games.yml'}: {said}" in problem
    assert "a_music.yml:" not in problem


def test_every_broken_file_is_named(bag: Bag, tmp_path: Path) -> None:
    for name in ("games", "music"):
        (tmp_path / f"{name}.yml").write_text("product: [")
    problem = bag(tmp_path).import_errors["broken_products.py"]
    assert f"{tmp_path / 'games.yml'}: is not YAML" in problem
    assert f"{tmp_path / 'music.yml'}: is not YAML" in problem


def test_a_configuration_folder_that_is_not_there_is_an_import_error(bag: Bag, tmp_path: Path) -> None:
    loaded = bag(tmp_path / "nowhere")
    assert loaded.dag_ids == []
    assert "nowhere: is not a folder; set DISCOVERY_CONF" in loaded.import_errors["broken_products.py"]


def test_the_dag_is_the_same_on_every_parse(bag: Bag) -> None:
    """Otherwise each parse would store a new version of the DAG."""
    from airflow.serialization.serialized_objects import DagSerialization

    first, second = (DagSerialization.to_dict(bag(REPO / "conf").dags["prod_discovery"]) for _ in range(2))
    assert first == second


def test_dag_files_import_airflow_yaml_pydantic_and_the_standard_library_only() -> None:
    own = {path.stem for path in (REPO / "dags").glob("*.py")}
    for path in (REPO / "dags").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                known = {"airflow", "yaml", "pydantic", *sys.stdlib_module_names, *own}
                assert name.partition(".")[0] in known, (path, name)


def test_parsing_loads_nothing_heavy() -> None:
    code = "import sys; import products; print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = ["numpy", "pandas", "pyarrow", "pyspark", "kubernetes", "conf", "features", "models", "publish", "jobs"]
    found = subprocess.run(
        [sys.executable, "-c", code, *heavy], cwd=REPO / "dags", capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "[]"
