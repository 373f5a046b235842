"""`discovery plan --events …`: the whole job, beside Kafka and Redis as ever."""

import pytest

from jobs.cli.plan_job import count, heap
from tests.jobs.commands import Discovery

SIZE = ("--users", "41e6", "--sources", "11e6", "--events", "7e9", "--interactions", "1e9")
CLUSTER = ("--executors", "100", "--cores", "4", "--memory", "16g")


def test_the_whole_job_is_planned_beside_its_push(discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL")
    said = discovery("plan", *SIZE, *CLUSTER)
    assert said.code == 2
    for words in ("features", "train", "topn", "publish", "core-hours", "error", "memoryOverhead", "measured"):
        assert words in said.out
    assert "41,000,000 users, 11,000,000 sources, 7,000,000,000 events" in said.out
    assert "100 executors of 4 cores and 16 GiB" in said.out
    assert "does not fit: training does not fit train.max_memory" in said.out
    assert "topic    " in said.out
    found = discovery("plan", *SIZE, *CLUSTER, "--json").data
    assert found["lists"]["records"] == 41_000_000
    assert found["job"]["workload"]["interactions"] == 10**9
    assert set(found["job"]["stages"]) == {"features", "train", "topn", "publish"}
    assert found["job"]["fits"] is False
    assert found["job"]["held_out"]["checks"]


def test_a_small_job_fits_and_a_share_has_fewer_lists(discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL")
    small = ("plan", "--users", "1e5", "--sources", "1e4", "--events", "1e6")
    said = discovery(*small)
    assert said.code == 0
    assert "job      it fits" in said.out
    whole, quarter = discovery(*small, "--json").data, discovery(*small, "--share", "25", "--json").data
    assert (whole["lists"]["records"], quarter["lists"]["records"]) == (100_000, 25_000)
    assert quarter["job"]["workload"]["users"] == 100_000
    assert quarter["job"]["core_seconds"] < whole["job"]["core_seconds"]


def test_without_sizes_of_a_job_none_is_planned(discovery: Discovery) -> None:
    found = discovery("plan", "--users", "1e5", "--json").data
    assert found["lists"]["records"] == 100_000
    assert "job" not in found


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--events", "7e9"), "needs --users, --sources"),
        (("--users", "10", "--executors", "3"), "needs --sources, --events"),
        (("--users", "2.5", "--sources", "1", "--events", "1"), "is not a whole number"),
        (("--users", "0"), "is not a whole number"),
        (("--users", "many"), "write for example 41e6"),
        (("--users", "inf"), "is not a whole number"),
        (("--users", "9", "--sources", "9", "--events", "9", "--memory", "much"), "is not a size"),
        (("--users", "9", "--sources", "9", "--events", "9", "--memory", "1k"), "less than a MiB"),
        (("--users", "9", "--sources", "9", "--events", "9", "--interactions", "82"), "more than pairs"),
    ],
)
def test_what_cannot_be_planned_is_refused(discovery: Discovery, words: tuple[str, ...], expected: str) -> None:
    said = discovery("plan", *words)
    assert (said.code, said.out) == (2, "")
    assert expected in " ".join(said.log.replace("│", " ").split())


def test_numbers_and_sizes_are_read_as_they_are_written() -> None:
    assert [count(text) for text in ("41e6", "41_000_000", "41000000", "7E9")] == [41_000_000] * 3 + [7 * 10**9]
    assert [heap(text) for text in ("16g", "16G", "16gb", "16 GiB", "512m")] == [2**34] * 4 + [2**29]
