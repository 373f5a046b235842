"""What the tasks would run, compared with golden files, and how flags follow from the DAG run and its parameters."""

import datetime as dt
import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import JOB_ENVIRONMENT, MONDAY, PRODUCT, REPO, Bag, dag_run, rendered

GOLDEN = Path(__file__).parent / "golden"
STAGES = ["build_features", "train_embeddings", "precompute_topn", "publish_topn"]
PRODUCTS = ["prod_discovery"]


def command_of(task: Any) -> list[str]:
    """The command line that the task starts, built by the provider's own hook where Spark is submitted."""
    if task.task_id == "wait_until_serving":
        return list(task.command)
    return list(task._get_hook()._build_spark_submit_command(task.application))


def golden_text(task: Any) -> str:
    """Variables and command, an argument per line, with the folders of this machine taken out."""
    variables = task.env if task.task_id == "wait_until_serving" else task.env_vars
    lines = [f"{name}={value}" for name, value in sorted(variables.items())]
    text = " \\\n".join([*lines, *(shlex.quote(word) for word in command_of(task))]) + "\n"
    return text.replace(str(JOB_ENVIRONMENT), "<env>").replace(str(REPO), "<repo>")


@pytest.mark.parametrize("task_id", [*STAGES, "wait_until_serving"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_the_command_of_the_scheduled_run(bag: Bag, request: pytest.FixtureRequest, product: str, task_id: str) -> None:
    text = golden_text(rendered(bag(REPO / "conf").dags[product], task_id))
    golden = GOLDEN / f"{product}.{task_id}.txt"
    if request.config.getoption("--write-golden"):
        golden.write_text(text)
    assert golden.read_text() == text, "if this is meant: .venv-airflow/bin/python -m pytest tests/dags --write-golden"


def test_every_product_of_the_repository_has_golden_files(bag: Bag) -> None:
    assert sorted(bag(REPO / "conf").dag_ids) == PRODUCTS
    tasks = [f"{product}.{task}.txt" for product in PRODUCTS for task in (*STAGES, "wait_until_serving")]
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(tasks)


@pytest.fixture
def dag(bag: Bag) -> Any:
    return bag(REPO / "conf").dags["prod_discovery"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("params", "flags"),
    [
        ({}, []),
        ({"first": True}, ["--first"]),
        ({"publish_old": True}, ["--publish-old"]),
        ({"refresh": True}, ["--refresh"]),
        ({"audience_share": 0.25}, ["--audience-share", "0.25"]),
        ({"audience_share": 0}, ["--audience-share", "0"]),
        ({"overrides": {"max_change": "new app: it's {{ ok }}"}}, ["--override", "max_change=new app: it's {{ ok }}"]),
        ({"overrides": {"a": "x", "b": "y"}}, ["--override", "a=x", "--override", "b=y"]),
    ],
)
def test_a_parameter_is_a_flag_of_every_stage(
    dag: Any, stage: str, params: dict[str, object], flags: list[str]
) -> None:
    plain = rendered(dag, stage).application_args
    assert rendered(dag, stage, **params).application_args == [*plain, *flags]
    assert all(isinstance(word, str) and word for word in plain)


@pytest.mark.parametrize(
    "conf",
    [
        {"first": "yes"},
        {"audience_share": 1.5},
        {"audience_share": "0.25"},
        {"overrides": ["a=b"]},
        {"overrides": {"a": ""}},
    ],
)
def test_parameters_are_checked(dag: Any, conf: dict[str, object]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        rendered(dag, "publish_topn", **conf)


def run_id(dag: Any, **fields: Any) -> str:
    words = rendered(dag, "publish_topn", run=dag_run(dag, **fields)).application_args
    assert (
        rendered(dag, "wait_until_serving", run=dag_run(dag, **fields)).command[2] == words[words.index("--run-id") + 1]
    )
    return str(words[words.index("--run-id") + 1])


def test_one_dag_run_has_one_run_id_however_often_its_tasks_are_tried_or_cleared(dag: Any) -> None:
    later = MONDAY + dt.timedelta(hours=5)
    assert run_id(dag) == "20261116T030000Z-20261116-1"
    assert run_id(dag, start_date=later, clear_number=2) == run_id(dag)


def test_two_starts_by_hand_of_one_week_have_two_run_ids(dag: Any) -> None:
    wednesday = MONDAY + dt.timedelta(days=2)
    ids = [run_id(dag, run_after=wednesday + dt.timedelta(seconds=seconds)) for seconds in (0, 1)]
    assert ids == ["20261118T030000Z-20261116-1", "20261118T030001Z-20261116-1"]


def test_both_dags_of_a_product_may_start_in_the_same_second(bag: Bag, tmp_path: Path) -> None:
    text = PRODUCT.format(name="music") + "dag: {refresh_schedule: 0 3 * * *}"
    (tmp_path / "music.yml").write_text(text)
    dags = bag(tmp_path).dags
    assert run_id(dags["music"]) == "20261116T030000Z-20261116-1"
    assert run_id(dags["music_refresh"]) == "20261116T030000Z-20261116-2"
    assert "--refresh" in rendered(dags["music_refresh"], "build_features").application_args


def test_a_run_without_a_date_is_as_of_the_day_of_its_start(dag: Any) -> None:
    wednesday = MONDAY + dt.timedelta(days=2)
    run = dag_run(dag, run_after=wednesday, end=None)
    words = rendered(dag, "build_features", run=run).application_args
    assert words[words.index("--as-of") + 1] == "2026-11-18"
    assert run_id(dag, run_after=wednesday, end=None) == "20261118T030000Z-20261118-1"


def test_the_environment_of_the_worker_comes_first(bag: Bag, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVERY_JOB_ENV", "/opt/job")
    monkeypatch.setenv("DISCOVERY_HOME", "hdfs://lake/discovery")
    monkeypatch.setenv("SPARK_CONF_DIR", "/etc/spark")
    dag = bag(REPO / "conf").dags["prod_discovery"]
    task = rendered(dag, "build_features")
    assert task.env_vars["PYSPARK_PYTHON"] == task.env_vars["PYSPARK_DRIVER_PYTHON"] == "/opt/job/bin/python"
    assert not {"DISCOVERY_HOME", "SPARK_CONF_DIR"} & task.env_vars.keys()
    assert command_of(task)[0] == "/opt/job/bin/spark-submit"
    assert rendered(dag, "wait_until_serving").command[0] == "/opt/job/bin/discovery"


@pytest.mark.parametrize("task_id", [*STAGES, "wait_until_serving"])
def test_each_task_leads_to_the_report_of_its_run(bag: Bag, monkeypatch: pytest.MonkeyPatch, task_id: str) -> None:
    def address() -> str:
        task = rendered(bag(REPO / "conf").dags["prod_discovery"], task_id)
        (link,) = task.operator_extra_links
        assert link.name == "Run report"
        return str(link.get_link(task, ti_key=None))

    report = "prod_discovery/20261116T030000Z-20261116-1/report.html"
    assert address() == f"{(REPO / 'work' / 'runs').as_uri()}/{report}"
    monkeypatch.setenv("DISCOVERY_HOME", "s3://lists/home")
    assert address() == f"s3://lists/home/runs/{report}"
    monkeypatch.setenv("DISCOVERY_RUNS_URL", "https://runs.internal/discovery/")
    assert address() == f"https://runs.internal/discovery/{report}"
