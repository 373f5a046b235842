"""One weekly Airflow DAG per product file that has a `schedule`; the DAG's id is the product's name.

A file with `dag.refresh_schedule` gets a second one, `<product>_refresh`, which asks every run for `--refresh`; one
with `exposures: {enabled: true}` a daily one, `<product>_outcomes`.

    build_features → train_embeddings → precompute_topn → publish_topn → wait_until_serving
    land_exposures → measure_outcomes

With `rollout.ramp`, `decide_share` comes before all others of the first row, and says which share the run covers.

Order and schedule only: most submit an entry of jobs/ to Spark; `wait_until_serving` waits until the run serves, and
`decide_share` and `land_exposures` need no Spark.
`docs/schedule.md` describes the setup.

A broken product file makes no DAG here, and the other products keep theirs. Airflow marks every DAG of a file with an
import error as stale, so the error must not be raised in this file: `broken_products.py` raises it.
"""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable
from product_files import Product, config_folder, read_products
from run_flags import RunParameters, command_line
from stage_operators import DecideShare, LandExposures, SparkStage, WaitUntilServing

_REPO = Path(__file__).resolve().parent.parent
_FIXED = {  # libraries read these when they are imported, before the job could set them
    "OPENBLAS_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
}
_DECIDE = "decide_share"
_STAGES = ("build_features", "train_embeddings", "precompute_topn", "publish_topn")


def as_of(dag_run: Any) -> dt.date:
    """Returns the UTC day on which the data interval ends; for a run without a date, the day of its start."""
    moment: dt.datetime = dag_run.data_interval_end or dag_run.run_after
    return moment.astimezone(dt.UTC).date()


def run_id_of(product: Product, dag_run: Any) -> str:
    """Returns the job's run id, based on `run_after`: retries and cleared tasks get the same id again.

    Both DAGs of a product may start in the same second: the second one's runs are named as attempt 2.
    """
    attempt = 1 + list(product.schedules).index(dag_run.dag_id)
    return f"{dag_run.run_after.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{as_of(dag_run):%Y%m%d}-{attempt}"


def stage_arguments(product: Product) -> Callable[..., list[str]]:
    """Returns a function that renders a stage's arguments; a list of templates could not omit a flag."""

    def application_args(context: Any, jinja_env: Any) -> list[str]:  # the names by which Airflow calls it
        dag_run, params = context["dag_run"], context["params"]
        arguments = ["--config", str(product.config), "--as-of", as_of(dag_run).isoformat()]
        arguments += ["--run-id", run_id_of(product, dag_run), "--trigger-id", context["run_id"]]
        if product.has_ramp:
            params = {**params, "audience_share": _smaller(params["audience_share"], decided_share(context))}
        return [*arguments, *command_line(params)]

    return application_args


def decided_share(context: Any) -> float | None:
    """Returns the share that the first task decided; None: it had nothing to decide."""
    share: float | None = context["ti"].xcom_pull(task_ids=_DECIDE)
    return share


def _smaller(asked: float | None, decided: float | None) -> float | None:
    """Returns the smaller share of those that are there: a person may lower what was decided, and not raise it."""
    return min((share for share in (asked, decided) if share is not None), default=None)


def decide_command(product: Product) -> Callable[..., list[str]]:
    """Returns a function that renders the command of the first task of a product with a ramp."""

    def command(context: Any, jinja_env: Any) -> list[str]:
        discovery = str(_job_environment() / "bin" / "discovery")
        asked = ["--as-of", as_of(context["dag_run"]).isoformat(), "--json"]
        return [discovery, "experiment", "decide", "--config", str(product.config), *asked]

    return command


def wait_command(product: Product) -> Callable[..., list[str]]:
    """Returns a function that renders the command of the last task."""

    def command(context: Any, jinja_env: Any) -> list[str]:
        discovery = str(_job_environment() / "bin" / "discovery")
        return [discovery, "wait", run_id_of(product, context["dag_run"]), "--config", str(product.config)]

    return command


def day_arguments(product: Product) -> Callable[..., list[str]]:
    """Returns a function that renders the arguments of what measures the day that is over."""

    def application_args(context: Any, jinja_env: Any) -> list[str]:
        day = as_of(context["dag_run"]) - dt.timedelta(days=1)
        return ["--config", str(product.config), "--day", day.isoformat()]

    return application_args


def build_dag(product: Product, dag_id: str) -> DAG:
    """Returns one DAG of a product that makes runs."""
    description = f"Weekly lists of {product.name}: features, embeddings, lists, publish"
    dag = _dag(product, dag_id, product.schedules[dag_id], description, _params(refresh=dag_id != product.name))
    previous = _decide_share(product, dag) if product.has_ramp else None
    stages = [_stage(stage, product, dag, reports=_reports(product)) for stage in _STAGES]
    for task in (*stages, _wait_until_serving(product, dag)):
        if previous is not None:
            previous >> task
        previous = task
    return dag


def build_outcomes_dag(product: Product, schedule: str) -> DAG:
    """Returns the DAG that measures what users did with their lists."""
    description = f"Outcomes of {product.name}: what was answered, and what users did with it"
    dag = _dag(product, product.outcomes_id, schedule, description, {})
    land = LandExposures(
        task_id="land_exposures",
        dag=dag,
        command=[
            str(_job_environment() / "bin" / "discovery"),
            *("exposures", "land", "--config", str(product.config)),
        ],
        env=_variables(),
        execution_timeout=_minutes(product.dag.land_exposures_minutes),
    )
    # records that were lost fail the landing, and hide nothing that was not
    land >> _stage("measure_outcomes", product, dag, day_arguments(product), trigger_rule="all_done")
    return dag


def _dag(product: Product, dag_id: str, schedule: str, description: str, params: dict[str, Param]) -> DAG:
    return DAG(
        dag_id=dag_id,
        description=description,
        schedule=CronDataIntervalTimetable(schedule, timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=_minutes(product.dag.run_minutes),
        params=params,
        tags=["discovery"],
        default_args={
            "pool": product.dag.pool,
            "retries": product.dag.retries,
            "retry_delay": _minutes(product.dag.retry_minutes),
            "retry_exponential_backoff": 2,
            "max_retry_delay": _minutes(product.dag.max_retry_minutes),
        },
    )


def _stage(
    name: str, product: Product, dag: DAG, arguments: Callable[..., list[str]] | None = None, **more: Any
) -> SparkStage:
    settings = product.dag
    if name in ("build_features", "measure_outcomes"):
        more |= _waits(product)
    return SparkStage(
        task_id=name,
        dag=dag,
        application=str(_REPO / "jobs" / f"{name}.py"),
        application_args=arguments or stage_arguments(product),  # a template field may be a function
        name=f"{product.name}.{name}",
        spark_binary=str(_job_environment() / "bin" / "spark-submit"),
        env_vars=_variables(),
        driver_memory=settings.driver_memory,
        execution_timeout=_minutes(getattr(settings, f"{name}_minutes")),
        **more,
    )


def _waits(product: Product) -> dict[str, Any]:
    """Returns the retries of a task that reads what others deliver."""
    settings = product.dag
    return {
        "wait_retries": settings.wait_retries,
        "retries": settings.retries + settings.wait_retries,
        "retry_delay": _minutes(settings.wait_minutes),
        "retry_exponential_backoff": 0,
    }


def _decide_share(product: Product, dag: DAG) -> DecideShare:
    return DecideShare(
        task_id=_DECIDE,
        dag=dag,
        command=decide_command(product),
        env=_variables(),
        execution_timeout=_minutes(product.dag.decide_share_minutes),
        **_waits(product),
    )


def _wait_until_serving(product: Product, dag: DAG) -> WaitUntilServing:
    return WaitUntilServing(
        task_id="wait_until_serving",
        dag=dag,
        command=wait_command(product),
        reports=_reports(product),
        env=_variables(),
        execution_timeout=_minutes(product.dag.wait_until_serving_minutes),
    )


def _params(*, refresh: bool) -> dict[str, Param]:
    """Returns a parameter for each flag of a run, validated by its JSON schema."""
    schemas = RunParameters.model_json_schema()["properties"]
    schemas["refresh"]["default"] = refresh
    return {name: Param(**schema) for name, schema in schemas.items()}


def _job_environment() -> Path:
    named = os.environ.get("DISCOVERY_JOB_ENV", "")
    return Path(named).absolute() if named else _REPO / ".venv"


def _variables() -> dict[str, str]:
    """Returns the variables added to the worker's environment, which has the addresses and secrets."""
    python = str(_job_environment() / "bin" / "python")
    defaults = {"SPARK_CONF_DIR": str(_REPO / "conf"), "DISCOVERY_HOME": str(_REPO / "work")}
    unset = {name: value for name, value in defaults.items() if not os.environ.get(name)}
    return {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python, **_FIXED, **unset}


def _reports(product: Product) -> str:
    """Returns the address of the folder with the product's runs, as a browser may find it."""
    home = os.environ.get("DISCOVERY_HOME") or str(_REPO / "work")
    runs = os.environ.get("DISCOVERY_RUNS_URL") or (home if "://" in home else Path(home).absolute().as_uri()) + "/runs"
    return f"{runs.rstrip('/')}/{product.name}"


def _minutes(number: float) -> dt.timedelta:
    return dt.timedelta(minutes=number)


for _product in read_products(config_folder()).scheduled.values():
    globals().update({dag_id: build_dag(_product, dag_id) for dag_id in _product.schedules})
    if _schedule := _product.outcomes_schedule:
        globals()[_product.outcomes_id] = build_outcomes_dag(_product, _schedule)
