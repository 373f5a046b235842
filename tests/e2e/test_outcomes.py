"""From what a service logged to figures: landed from the real topic, measured by spark-submit, shown."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from conf.connections import KafkaConnection
from conf.ids import arm_of, partition_of
from deploy.chain import REPO
from publish.connect.confirmed_sender import KafkaPointerLog, Outgoing
from publish.exposures.message import encode_exposure
from publish.runs.erasures import Erasure, ErasureLog
from publish.runs.history import HistoryEntry
from publish.runs.pointer import Pointer
from publish.wire.keys import ProductKeys
from tests.features.world import EVENT_SCHEMA, table
from tests.jobs.days import write_day
from tests.jobs.exposures.world import WRITER, send
from tests.jobs.outcomes.shadowed import run_with_shadow_lists
from tests.jobs.outcomes.test_measure import PRODUCT
from tests.publish.support.exposing import RUN, answer_for, new_exposing_product
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
    likes = [(user, source, "like", hours(10)) for user, source in ((1, 11), (2, 12), (3, 11), (4, 13))]
    write_day(folder / "data/clicks", ASKED.date(), table(EVENT_SCHEMA, *likes))


def with_shadow_lists(kafka: KafkaConnection, folder: Path, product: str) -> None:
    """RUN served half of the users, by the pointer's history; it has a shadow list for user 4, who is none of these."""
    salt = next(f"salt{i}" for i in range(99) if arm_of(4, f"salt{i}") >= 5_000)
    run_with_shadow_lists(folder, product, RUN, {4: [13, 14, 15]}, salt)
    pointer = {"rev": 1, "treatment": RUN, "salt": salt, "share_bp": 5_000, "since": hours(-24)}
    entry = HistoryEntry(pointer=Pointer.model_validate(pointer), reason="first", who=None)
    history = {ProductKeys(product).history_topic: [Outgoing(None, entry.model_dump_json().encode())]}
    KafkaPointerLog(kafka).append(product, history)


def test_answers_are_landed_measured_and_shown(kafka: KafkaConnection, tmp_path: Path) -> None:
    product = new_exposing_product(kafka)
    home_of(tmp_path, product)
    variables = {"DISCOVERY_HOME": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": kafka.servers}
    environment = {**os.environ, **variables, "SPARK_CONF_DIR": str(REPO / "conf")}
    config = ["--config", str(tmp_path / "product.yml")]
    job = ["jobs/measure_outcomes.py", *config]
    measure = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]", *job]
    measure_here = [sys.executable, *job]  # what ends before Spark starts needs no Java

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=REPO, env=environment, capture_output=True, text=True, check=False)

    # spark-submit hands the log on as its output
    early = run(*measure, "--day", str(ASKED.date()))
    assert early.returncode == 2, early.stdout
    assert f"{product} has no exposures and no dataset of impressions" in early.stdout
    today = run(*measure_here, "--day", str(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)))
    assert (today.returncode, "is not over yet" in today.stderr) == (2, True)

    at_nine = int(hours(9).timestamp() * 1000)
    with_shadow_lists(kafka, tmp_path, product)
    of_control = answer_for(4, (), arm="control", share_bp=5_000, run=None, kind="control")
    answers = [
        (partition_of(one.user_id, PARTITIONS), *encode_exposure(one, "feed", at_nine, WRITER, number))
        for number, one in enumerate([*map(answer_for, (1, 2, 3)), of_control])
    ]
    send(kafka, product, answers)
    ErasureLog(kafka, product).append(Erasure(user="3", at=hours(20), reason="asked"))
    discovery = [sys.executable, "-m", "jobs.cli"]
    landed = run(*discovery, "exposures", "land", *config)
    assert landed.returncode in (0, 4), landed.stderr
    done = run(*measure, "--day", str(ASKED.date()))
    assert done.returncode == 0, done.stdout
    assert f"{ASKED.date()}: 3 answers, events up to {ASKED.date()}" in done.stdout
    again = run(*measure_here, "--day", str(ASKED.date()))
    assert (again.returncode, "no day has matured or changed" in again.stderr) == (0, True)
    told = json.loads(run(*discovery, "outcomes", "--json", *config).stdout)
    arms = {row["arm"]: row for row in told["rows"]}
    shown = arms["treatment"]
    assert (shown["answers"], shown["hits"], shown["new"], shown["new_listed"]) == (2, 2, 2, 2)
    assert shown["rate"] == {"name": "hits per answer", "value": 1.0}
    assert (arms["control"]["hits"], arms["shadow"]["hits"], arms["shadow"]["run"]) == (0, 1, RUN)
    (made,) = told["incremental"]
    assert (made["treatment"], made["shadow"], made["user_days"], made["shadow_user_days"]) == (1, 1, 2, 1)
