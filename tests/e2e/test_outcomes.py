"""From what a service logged to figures: landed from the real topic, measured by spark-submit, shown."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from conf.connections import KafkaConnection
from conf.ids import partition_of
from deploy.chain import REPO
from publish.exposures.message import encode_exposure
from publish.runs.erasures import Erasure, ErasureLog
from tests.features.world import EVENT_SCHEMA, table
from tests.jobs.days import write_day
from tests.jobs.exposures.world import WRITER, send
from tests.jobs.outcomes.test_measure import PRODUCT
from tests.publish.support.exposing import answer_for, new_exposing_product
from tests.publish.support.pushing import PARTITIONS

ASKED = dt.datetime.combine(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2), dt.time(), dt.UTC)
"""The day of the answers; those of yesterday are not landed as a whole in the first minutes of a day."""


def hours(number: float) -> dt.datetime:
    return ASKED + dt.timedelta(hours=number)


def home_of(folder: Path, product: str) -> None:
    """Settings, and events of a week: users 1 and 2 like what they were answered that day, an hour later."""
    events = {name: PRODUCT["datasets"]["events"][name] for name in ("clicks",)}
    tree = {**PRODUCT, "product": product, "datasets": {"events": events}}
    (folder / "product.yml").write_text(yaml.safe_dump(tree))
    for days in range(1, 7):
        rows = [(9, 99, "like", ASKED - dt.timedelta(days=days))]
        write_day(folder / "data/clicks", rows[0][3].date(), table(EVENT_SCHEMA, *rows))
    likes = [(1, 11, "like", hours(10)), (2, 12, "like", hours(10)), (3, 11, "like", hours(10))]
    write_day(folder / "data/clicks", ASKED.date(), table(EVENT_SCHEMA, *likes))


def test_answers_are_landed_measured_and_shown(kafka: KafkaConnection, tmp_path: Path) -> None:
    product = new_exposing_product(kafka)
    home_of(tmp_path, product)
    variables = {"DISCOVERY_HOME": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": kafka.servers}
    environment = {**os.environ, **variables, "SPARK_CONF_DIR": str(REPO / "conf")}
    config = ["--config", str(tmp_path / "product.yml")]
    measure = [
        str(Path(sys.executable).with_name("spark-submit")),
        "--master",
        "local[2]",
        "jobs/measure_outcomes.py",
        *config,
    ]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=REPO, env=environment, capture_output=True, text=True, check=False)

    # spark-submit hands the log on as its output
    early = run(*measure, "--day", str(ASKED.date()))
    assert early.returncode == 2, early.stdout
    assert f"{product} has no exposures and no dataset of impressions" in early.stdout
    today = run(*measure, "--day", str(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)))
    assert (today.returncode, "is not over yet" in today.stdout) == (2, True)

    at_nine = int(hours(9).timestamp() * 1000)
    answers = [
        (partition_of(user, PARTITIONS), *encode_exposure(answer_for(user), "feed", at_nine, WRITER, user))
        for user in (1, 2, 3)
    ]
    send(kafka, product, answers)
    ErasureLog(kafka, product).append(Erasure(user="3", at=hours(20), reason="asked"))
    discovery = [sys.executable, "-m", "jobs.cli"]
    landed = run(*discovery, "exposures", "land", *config)
    assert landed.returncode in (0, 4), landed.stderr
    done = run(*measure, "--day", str(ASKED.date()))
    assert done.returncode == 0, done.stdout
    assert f"{ASKED.date()}: 2 answers, events up to {ASKED.date()}" in done.stdout
    again = run(*measure, "--day", str(ASKED.date()))
    assert "no day has matured or changed" in again.stdout
    (shown,) = json.loads(run(*discovery, "outcomes", "--json", *config).stdout)["rows"]
    assert (shown["answers"], shown["hits"], shown["new"], shown["new_listed"]) == (2, 2, 2, 2)
    assert shown["rate"] == {"name": "hits per answer", "value": 1.0}
