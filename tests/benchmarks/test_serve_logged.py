"""The rows about the log of answers, small: what they count must be true, however slow the machine is."""

from collections.abc import Iterator

import pytest

from benchmarks.serve import logged
from benchmarks.serve import stage as serve_stage
from benchmarks.serve.logged import broker_gone, interval, log_on_and_off
from benchmarks.serve.stage import Stage, stage
from deploy.servers.kafka_broker import KafkaBroker


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with few users, whose brokers start quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serve_stage, "_USERS", 1_000)
        patch.setattr(logged, "KafkaBroker", lambda folder, **_: KafkaBroker(folder))
        with stage(tmp_path_factory.mktemp("stage")) as made:
            yield made


def test_a_broker_that_is_gone_fails_no_look_up_and_every_answer_is_counted(ready: Stage) -> None:
    result = broker_gone(ready, outage_seconds=4)
    assert result["look_ups"] > 100
    assert (result["failed_look_ups"], result["exit_code"]) == (0, 0)
    assert result["logged"] == result["look_ups"]
    assert result["sum_holds"]
    (said,) = result["said_in_its_last_record"]
    assert (said["logged"], said["dropped"]) == (result["logged"], result["dropped"])
    assert result["landed"] + result["missing_in_the_topic"] == result["logged"]
    assert result["missing_in_the_topic"] <= sum(result["dropped"].values()), "a late one may be there all the same"


def test_what_the_log_costs(ready: Stage) -> None:
    result = log_on_and_off(ready, seconds=0.2, connections=2, alternations=2)
    assert (result["alternations"], result["failures"]) == (2, 0)
    counts = result["exposures"]
    assert counts["logged"] == counts["delivered"] > 0
    assert result["p50_ratio"] > 0


def test_the_interval_of_equal_arms_is_around_one() -> None:
    low, high = interval([0.8, 1.25] * 10)
    assert low < 1 < high
    assert interval([1.0] * 20) == pytest.approx((1.0, 1.0))
