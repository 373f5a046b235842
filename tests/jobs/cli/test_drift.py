"""`discovery drift`: what deviates in runs, and what operators decide; it needs neither Spark nor servers."""

import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from expectations.drift.findings import Finding
from expectations.drift.judge import judge
from jobs.cli import app
from jobs.run.manifest import Request, run_folder, save_manifest
from jobs.stages.drift import alarm_of
from jobs.storage.drift import DriftStore
from jobs.storage.store import Storage
from publish.author import person
from tests.expectations.drift.weeks import AS_OF, NEW, ago, case, days, history, runs
from tests.features.world import events, settings
from tests.jobs.cli.test_imports import HEAVY, SPARK, imported_by
from tests.jobs.commands import CommandResult
from tests.jobs.days import write_day
from tests.jobs.pages.test_drift import RUN, report
from tests.jobs.runs import manifest_of

OLDER = "20260727T030000Z-20260727-1"
CONTROL = f"{RUN}-control"
Command = Callable[..., CommandResult]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The work folder of a product with clicks and sources, and no address of any server."""
    clicks = {"path": "clicks", "window": "3 days ago:today", "on_missing": "shrink"}
    tree = settings(events={"clicks": clicks}, sources={"path": "sources", "max_age_days": 3}).model_dump(mode="json")
    (tmp_path / "product.yml").write_text(yaml.safe_dump(tree))
    monkeypatch.setenv("DISCOVERY_CONFIG", str(tmp_path / "product.yml"))
    monkeypatch.setenv("DISCOVERY_HOME", str(tmp_path))
    for variable in ("REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    for back in (1, 2, 3):
        write_day(tmp_path / "data/clicks", ago(back)[0], events(ago(back)[0], (1, 2, "like")))
    for back in (1, 3):
        write_day(tmp_path / "data/sources", ago(back)[0], pa.table({"source_id": [2]}))
    return Storage(str(tmp_path))


@pytest.fixture
def drift(home: Storage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `discovery drift` as the console script does."""

    def run(*words: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["discovery", "drift", *words])
        with pytest.raises(SystemExit) as end:
            app.main()
        shown = capsys.readouterr()
        return CommandResult(int(end.value.code or 0), shown.out, shown.err)

    return run


def halved() -> tuple[Finding, ...]:
    lost = days(lambda day: 0.5 if day in NEW else 1.0)
    return judge(history(lost, runs([0.6] * 20), runs([0.5] * 4, name="coverage")), case())


def keep(home: Storage, run: str, findings: tuple[Finding, ...]) -> None:
    """A run whose drift gate judged, as its stage leaves it."""
    request = manifest_of().request.model_copy(update={"run_id": run, "as_of": AS_OF})
    folder = run_folder(home, "test", run)
    judged = report(findings).model_copy(update={"run": run})
    save_manifest(folder, manifest_of(request=Request.model_validate(request.model_dump())))
    folder.write_bytes("gate_input_drift.json", judged.to_json().encode())
    alarms = [alarm_of(one, run) for one in findings if one.state == "alarm"]
    DriftStore.of(home, "test").keep_alarms(f"{run}.input_drift", alarms)


def test_the_newest_run_is_shown_with_what_deviates_first(drift: Command, home: Storage) -> None:
    keep(home, OLDER, judge(history(days()), case()))
    keep(home, RUN, halved())
    run_folder(home, "test", "20260810T030000Z-20260810-1").write_bytes("manifest.json", b"{}")  # of no gate yet
    run_folder(home, "test", RUN).write_bytes("drift.html", b"<html/>")
    said = drift("show")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == f"run {RUN}, as of {AS_OF}: STOPPED by gate input_drift"
    assert lines[1].startswith("  clicks: events a day 5,")
    assert lines[2].endswith("twice. 1,234,567 users would get lists made of it")
    assert [word for word in lines if word.startswith("stops  clicks.events")]
    assert "lists.gini" not in said.out
    assert "1 learning (3 of 8 runs), 1 ok: --all shows them" in lines
    assert "exclude clicks 2026-07-27" in said.out
    assert lines[-1] == f"with plots: {run_folder(home, 'test', RUN).uri}/drift.html"
    everything = drift("show", RUN, "--all").out
    assert "lists.gini" in everything
    assert "(3 of 8 runs)" in everything
    assert drift("show", OLDER).out.splitlines() == [
        f"run {OLDER}, as of {AS_OF}: passed",
        "1 ok: --all shows them",
    ]


def test_a_run_as_json(drift: Command, home: Storage) -> None:
    keep(home, RUN, halved())
    found = drift("show", "--json").data
    assert (found["run"], found["gates"], found["page"]) == (RUN, {"input_drift": "FAILED"}, None)
    assert found["users"] == 1_234_567
    first, *others = found["findings"]
    assert (first["name"], first["status"], first["days"]) == ("clicks.events", "stops", [str(day) for day in NEW])
    assert {one["name"]: one["status"] for one in others} == {"lists.coverage": "learning", "lists.gini": "ok"}


def test_a_run_that_is_not_there_or_was_not_judged(drift: Command, home: Storage) -> None:
    none = drift("show")
    assert (none.code, "no run of test was judged" in none.log) == (2, True)
    keep(home, RUN, halved())
    for words in ((OLDER,), ("run 7",)):
        said = drift("show", *words)
        assert (said.code, said.out) == (2, "")
    assert "malformed" in said.log
    assert f"newest: {RUN}" in drift("show", OLDER).log


def test_the_history_of_a_statistic(drift: Command, home: Storage) -> None:
    keep(home, RUN, halved())
    lines = drift("history", "clicks.events").out.splitlines()
    assert lines[0] == f"clicks.events: events a day, by run {RUN}"
    assert len(lines) == 34
    assert lines[4].split() == [str(ago(197)[0]), lines[4].split()[1], "–"]
    assert lines[-2].split()[0] == str(NEW[-1])
    assert " to " in lines[-2]
    assert lines[-1].startswith("stops: clicks: events a day")
    found = drift("history", "clicks.events", "--json").data
    assert (len(found["past"]), found["past"][-1]["day"]) == (30, str(NEW[-1]))
    assert "3 of 8 runs; the fixed limits" in drift("history", "lists.coverage").out


def test_the_history_of_what_no_report_has(drift: Command, home: Storage) -> None:
    DriftStore.of(home, "test").keep("r.a", days(weeks=1))
    lines = drift("history", "clicks.events").out.splitlines()
    assert "judged by none of the latest runs" in lines[0]
    assert len(lines) == 9
    unknown = drift("history", "clicks.event")
    assert (unknown.code, "did you mean clicks.events?" in unknown.log) == (2, True)
    assert "there are: clicks.events" in drift("history", "x").log


def test_an_accepted_level_is_silent_until_it_is_taken_back(drift: Command, home: Storage) -> None:
    found = halved()
    keep(home, RUN, found)
    assert "--reason is missing" in drift("accept", "clicks.events").log
    said = drift("accept", "clicks.events", "--reason", "app 7")
    assert said.code == 0
    assert said.out.startswith("accepted  clicks: events a day")
    store = DriftStore.of(home, "test")
    (kept,) = store.decisions().accepted
    alarm = next(one for one in found if one.state == "alarm")
    assert (kept.name, kept.days, kept.shift, kept.reason, kept.by) == (
        *("clicks.events", NEW, alarm.shift, "app 7"),
        person(),
    )
    lost = days(lambda day: 0.5 if day in NEW else 1.0)
    again = judge(history(lost), case(accepted=store.decisions().accepted, alarms=store.alarms()))
    assert [one.state for one in again] == ["ok"]

    twice = drift("accept", "clicks.events", "--reason", "app 7")
    assert (twice.code, "open alarms: none" in twice.log) == (2, True)
    assert "taken back" in drift("accept", "clicks.events", "--undo").out
    assert store.decisions().accepted == ()
    assert drift("accept", "clicks.events", "--undo").code == 2
    wrong = drift("accept", "clicks.users", "--reason", "x")
    assert (wrong.code, "open alarms: clicks.events" in wrong.log) == (2, True)


def test_the_newest_alarm_is_accepted(drift: Command, home: Storage) -> None:
    keep(home, OLDER, tuple(one.model_copy(update={"days": ago(14)}) for one in halved()))
    keep(home, RUN, halved())
    assert drift("accept", "clicks.events", "--reason", "x", "--json").data["accepted"]["days"][-1] == str(NEW[-1])


def test_what_is_as_usual_again_is_not_accepted(drift: Command, home: Storage) -> None:
    keep(home, OLDER, halved())
    keep(home, RUN, judge(history(days()), case()))
    said = drift("accept", "clicks.events", "--reason", "x")
    assert (said.code, f"run {RUN} found clicks.events ok again" in said.log) == (2, True)


def low(value: float) -> tuple[Finding, ...]:
    """Findings of a run whose lists cover fewer sources than before, and one of data."""
    lost = days(lambda day: 0.5 if day in NEW else 1.0)
    return judge(history(lost, runs([*[0.5] * 20, value], name="coverage")), case())


def test_each_arm_of_an_experiment_is_shown_and_accepted_for_itself(drift: Command, home: Storage) -> None:
    keep(home, RUN, low(0.2))
    keep(home, CONTROL, low(0.5))
    shown = drift("show")
    assert shown.out.startswith(f"run {RUN}, as of")
    assert f"its control: run {CONTROL}, as of {AS_OF}: STOPPED by gate input_drift; discovery drift show" in shown.out
    assert drift("show", "--json").data["control"] == {"run": CONTROL, "gates": {"input_drift": "FAILED"}}
    assert drift("show", CONTROL, "--json").data["control"] is None
    ours, theirs = (drift("history", "lists.coverage", "--json", *words).data for words in ((), ("--control",)))
    assert (ours["run"], ours["state"], theirs["run"], theirs["state"]) == (RUN, "alarm", CONTROL, "ok")

    assert (
        "there is no alarm of 'lists.coverage'" in drift("accept", "lists.coverage", "--control", "--reason", "x").log
    )
    assert "accept lists.coverage --undo" in drift("accept", "lists.coverage", "--reason", "new rule").out
    store = DriftStore.of(home, "test")
    opened = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert [one.run for one in store.of_arm(None).decisions().accepted] == [RUN]
    assert store.of_arm(opened).decisions().accepted == ()
    assert "lists.coverage" in drift("decisions").out
    assert drift("accept", "lists.coverage", "--control", "--undo").code == 2
    assert drift("accept", "lists.coverage", "--undo").code == 0

    assert drift("accept", "clicks.events", "--reason", "app 7").code == 0  # data are the same for both
    for arm in (store.of_arm(None), store.of_arm(opened)):
        assert [(one.name, one.run) for one in arm.decisions().accepted] == [("clicks.events", None)]


def test_a_control_that_was_stopped_alone_is_the_newest_run(drift: Command, home: Storage) -> None:
    keep(home, OLDER, judge(history(days()), case()))
    keep(home, CONTROL, low(0.2))
    assert drift("show").out.startswith(f"run {CONTROL}, as of {AS_OF}: STOPPED")
    assert drift("accept", "clicks.events", "--reason", "seen by the control only").code == 0
    assert (
        "accept lists.coverage --control --undo" in drift("accept", "lists.coverage", "--control", "--reason", "x").out
    )


def test_a_level_of_excluded_days_is_not_accepted(drift: Command, home: Storage) -> None:
    keep(home, RUN, halved())
    drift("exclude", "clicks", *map(str, NEW), "--reason", "half")
    said = drift("accept", "clicks.events", "--reason", "x")
    assert (said.code, "open alarms: none" in said.log) == (2, True)


def test_an_excluded_day_of_impressions_stops_no_run(drift: Command, home: Storage, tmp_path: Path) -> None:
    said = drift("exclude", "impressions", "2026-11-02", "--reason", "half")
    assert (said.code, "there is no dataset 'impressions' in the settings" in said.log) == (2, True)
    tree = yaml.safe_load((tmp_path / "product.yml").read_text())
    tree["datasets"]["impressions"] = {"path": "impressions"}
    (tmp_path / "product.yml").write_text(yaml.safe_dump(tree))
    said = drift("exclude", "impressions", "2026-11-02", "--reason", "half")
    assert (said.code, "warning" in said.log) == (0, False)
    assert "no run reads impressions" in said.out


def test_an_excluded_day_of_events(drift: Command, home: Storage) -> None:
    keep(home, RUN, halved())
    one, two = str(ago(2)[0]), str(ago(1)[0])
    said = drift("exclude", "clicks", one, "--reason", "half is lost")
    assert (said.code, "warning" in said.log) == (0, False)
    assert f"a run as of {AS_OF} goes on without 1 of the 3 days of [{ago(3)[0]}, {AS_OF})" in said.out
    assert f"drift exclude clicks {one} --undo" in said.out
    said = drift("exclude", "clicks", two, "--reason", "twice", "--json")
    assert said.code == 0
    assert said.data["next_run_stops"]
    assert f"the next run will stop: dataset 'clicks' (clicks), window [{ago(3)[0]}, {AS_OF}): 2 excluded" in said.log
    assert "At most 1 may be (max_missing_days)" in said.log
    assert f"taken back  clicks {one} {two} is read again" in drift("exclude", "clicks", one, two, "--undo").out
    assert DriftStore.of(home, "test").decisions().excluded == ()
    assert "reads [" in drift("exclude", "clicks", "2025-01-01", "--reason", "old").out
    undone = drift("exclude", "clicks", one, "--undo")
    assert (undone.code, "excluded days: 2025-01-01" in undone.log) == (2, True)


def test_an_excluded_snapshot(drift: Command, home: Storage) -> None:
    keep(home, RUN, halved())
    newest, older = ago(1)[0], ago(3)[0]
    said = drift("exclude", "sources", str(newest), "--reason", "nine in ten are lost")
    assert f"a run as of {AS_OF} takes the partition of {older}" in said.out
    said = drift("exclude", "sources", str(older), "--reason", "too")
    assert "the next run will stop: dataset 'sources' has no other finished partition" in said.log


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nothing", "2026-08-01", "--reason", "x"), "there are: clicks, sources"),
        (("clicks", "yesterday", "--reason", "x"), "'yesterday' is not a day"),
        (("clicks", "2199-08-01", "--reason", "x"), "in the future"),
        (("clicks", "2026-08-01", "--reason", " "), "--reason is missing"),
        (("clicks", "2026-08-01", "--reason", "x" * 1001), "1,001 characters"),
        (("clicks",), "DAY"),
    ],
)
def test_what_cannot_be_excluded(drift: Command, home: Storage, words: tuple[str, ...], told: str) -> None:
    said = drift("exclude", *words)
    assert (said.code, said.out) == (2, "")
    assert told in said.log
    assert not home.exists("drift")


def test_the_decisions_that_hold(drift: Command, home: Storage) -> None:
    assert drift("decisions").out == "nothing is excluded, and no new level was accepted\n"
    keep(home, RUN, halved())
    drift("exclude", "clicks", "2026-08-01", "2026-08-02", "--reason", "half")
    drift("accept", "clicks.events", "--reason", "app 7")
    rows = [line.split() for line in drift("decisions").out.splitlines()]
    assert rows[0] == ["decision", "of", "days", "by", "at", "why"]
    assert [row[:3] for row in rows[1:3]] == [["excluded", "clicks", f"2026-08-0{n}"] for n in (1, 2)]
    assert rows[3][:4] == ["accepted", "clicks.events", "since", str(NEW[0])]
    assert rows[3][-2:] == ["app", "7"]
    held = drift("decisions", "--json").data
    assert [one["day"] for one in held["excluded"]] == ["2026-08-01", "2026-08-02"]
    assert dt.datetime.fromisoformat(held["accepted"][0]["at"]).tzinfo is not None


@pytest.mark.parametrize("words", [("show",), ("history", "clicks.events"), ("decisions",)])
def test_what_waits_for_no_library_that_it_does_not_need(home: Storage, words: tuple[str, ...]) -> None:
    keep(home, RUN, halved())
    assert imported_by("drift", *words).isdisjoint(HEAVY | SPARK | {"confluent_kafka"})


def test_a_report_that_was_damaged_is_named(drift: Command, home: Storage) -> None:
    keep(home, RUN, halved())
    folder = run_folder(home, "test", RUN)
    broken = json.loads(folder.read_bytes("gate_input_drift.json"))
    folder.write_bytes("gate_input_drift.json", json.dumps({**broken, "gate": "other"}).encode())
    said = drift("show")
    assert (said.code, "gate_input_drift.json" in said.log) == (2, True)
