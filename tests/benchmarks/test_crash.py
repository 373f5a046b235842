"""The crash hunter hunts, and its parts notice what they are there to notice."""

import json
from pathlib import Path

import pytest

from benchmarks.crash import __main__ as crash
from benchmarks.crash.damage import Raw, damaged
from benchmarks.crash.journal import Journal
from benchmarks.crash.plan import DAMAGES, Damage, is_second, order_of, plan_of
from benchmarks.crash.truth import LIST_SIZE, PARTITIONS, PushedLists
from publish.send.snapshot import measure_partition
from publish.wire.keys import Layout
from publish.wire.messages import MessageKind, pack

TRUTH = PushedLists(seed=5, users=900)


def test_a_hunt_finds_nothing_in_a_product_that_keeps_its_promises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--users", "600", "--loaders", "2", "--readers", "1"]
    code = crash.main(["--minutes", "0.1", "--seed", "18094", *size, "--keep", str(tmp_path), "--json"])
    said = capsys.readouterr().out
    result = json.loads(said.splitlines()[-1])
    assert (code, result["violations"]) == (0, 0), said
    assert result["pushes"] == result["served"] + result["held"] + result["refused"]
    assert result["served"] >= 2  # the first and the last push are made in peace
    assert result["kills"] > 0
    assert result["reads"] > 0


def test_plans_depend_on_seed_and_number_alone() -> None:
    plan_of.cache_clear()
    forward = [plan_of(3, number) for number in range(200)]
    plan_of.cache_clear()
    assert forward == [plan_of(3, number) for number in reversed(range(200))][::-1]
    assert forward != [plan_of(4, number) for number in range(200)]
    for number, plan in enumerate(forward):
        assert is_second(3, number) == (number > 0 and forward[number - 1].together)
        assert order_of(3, number) == number - is_second(3, number)
        assert plan.polite != (plan.together or is_second(3, number))


def test_what_readers_are_told_is_what_is_pushed() -> None:
    for number in (1, 2):
        users = len(TRUTH.rows(number)[0])
        layout = Layout.plan("crash", PARTITIONS, users, 100)
        batches = TRUTH.batches(number, layout.buckets)
        for partition, batch in enumerate(batches):
            assert measure_partition([batch], partition, layout, "int64").count == batch.num_rows
        pushed = {row["user_id"]: row for batch in batches for row in batch.to_pylist()}
        everybody = range(TRUTH.population(number) + 50)
        for user, told in zip(everybody, TRUTH.expected(number, everybody), strict=True):
            row = pushed.get(user)
            if row is None:
                assert told == ("fallback", tuple(TRUTH.fallback(number)[:LIST_SIZE]), ())
            else:
                assert told == ("list", tuple(row["source_ids"]), tuple(row["scores"]))
        assert 0 < users < len(everybody)


def test_no_two_pushes_have_a_list_in_common() -> None:
    first, second = (TRUTH.expected(number, range(900)) for number in (2, 4))
    assert not {told.source_ids for told in first if told.source_ids} & {told.source_ids for told in second}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_partition_is_not_the_one_that_was_meant(damage: Damage) -> None:
    records = [
        Raw(1, key, pack(MessageKind.DATA, 1, seq, key, b"\x0a\x01\x05")) for seq, key in enumerate([b"1", b"2", b"3"])
    ]
    for draw in (0.0, 0.4, 0.99):
        sent = damaged(damage, records, draw, 1)
        assert (sent != records) == (damage != "no_end")


def test_the_book_knows_when_somebody_was_away(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    with journal.window("redis away") as window:
        assert journal.was("redis away", window.start, window.start + 1)
    assert not journal.was("redis away", window.end + 1, window.end + 2)
    assert not journal.was("broker away", window.start, window.end)
    journal.violation("answer", "user 7 got the list of another", push=3)
    journal.close()
    kept = json.loads((tmp_path / "violations.jsonl").read_text())
    assert (kept["seed"], kept["push"], kept["sort"]) == (1, 3, "answer")
    assert journal.counts["violations"] == 1
    assert "user 7 got the list of another" in journal.news()[0]
