"""The page of a run's drift gates: what is wrong comes first, then each statistic with its history."""

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conf.gates import GateSettings
from expectations.drift.checks import DriftProfile
from expectations.drift.findings import Accepted, Alarm, Excluded, Finding, Point
from expectations.drift.judge import judge
from expectations.errors import GateFailed
from expectations.gate import DriftGate, check_drift
from expectations.report import GateReport
from jobs.pages.drift import drift_page
from jobs.pages.plots import plot, spark
from jobs.stages.drift import write_page
from jobs.storage.bound_folder import BoundFolder
from jobs.storage.drift import Decisions
from tests.expectations.drift.weeks import AS_OF, NEW, ago, case, days, history, runs

RUN = "20260803T030000Z-20260803-1"
NOBODY = Decisions()


def report(findings: Sequence[Finding], gate: DriftGate = "input_drift", **overrides: str) -> GateReport:
    profile = DriftProfile(findings=tuple(findings), users=1_234_567, snapshots={"subscriptions": ago(2)[0]})
    try:
        return check_drift(gate, lambda: profile, GateSettings(), overrides, as_of=AS_OF, run=RUN)
    except GateFailed as failure:
        return failure.report


def halved(**other: object) -> tuple[Finding, ...]:
    lost = days(lambda day: 0.5 if day in NEW else 1.0)
    return judge(history(lost, runs([0.6] * 20)), case(**other))


def page_of(*reports: GateReport, decisions: Decisions = NOBODY) -> str:
    page = drift_page(reports, decisions, product="groups")
    ElementTree.fromstring(page.replace("<!DOCTYPE html>", ""))
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](?!#)|url\(|@import""", page)
    return page


def text_of(page: str) -> str:
    found = ElementTree.fromstring(page.replace("<!DOCTYPE html>", "")).find("body")
    assert found is not None
    return " ".join(" ".join(found.itertext()).split())


def test_what_is_wrong_comes_first_with_the_ways_to_go_on() -> None:
    text = text_of(page_of(report(halved())))
    first = text[: text.index("What deviates")]
    assert "Stopped. clicks: events a day 5,0" in first
    for part in (
        "on the days 2026-07-27 to 2026-08-02",
        "1,234,567 would get lists made of it",
        "part of the events is lost or comes twice",
        "what serves goes on to serve",
        f"discovery drift show {RUN}",
        "discovery drift exclude clicks 2026-07-27 2026-07-28",
        "discovery drift accept clicks.events --reason",
        "--override clicks.events=",
        "1 stops the run 1 as usual",
    ):
        assert part in first


def test_the_same_run_has_the_same_page() -> None:
    assert page_of(report(halved())) == page_of(report(halved()))


def test_a_run_in_which_all_is_as_usual() -> None:
    text = text_of(page_of(report(judge(history(days()), case()))))
    assert "Passed: nothing is outside of what is usual" in text
    assert "What deviates" not in text
    assert "Nothing: no day is excluded" in text


def test_an_alarm_that_was_overridden_and_one_that_warns() -> None:
    finding = halved(modes={"gini": "warn"})
    lists = judge(history(runs([*[0.6] * 20, 0.9])), case(modes={"gini": "warn"}))
    text = text_of(page_of(report(finding, **{"clicks.events": "a holiday"}), report(lists, "list_drift")))
    assert "Passed, with 2 alarms that do not stop it" in text
    assert "Overridden: a holiday." in text
    assert text.index("overridden clicks.events") < text.index("warning lists.gini")


def test_a_repeated_alarm_says_for_how_many_runs() -> None:
    old = ago(*range(8, 15))
    alarm = Alarm(
        **{"kind": "events", "subject": "clicks", "name": "events", "days": old, "run": "r1", "runs": 2, "p": 1e-9},
        **{"made_of": tuple(f"of {day}" for day in old), "value": 1.0, "expected": 9.0, "low": 8.0, "high": 10.0},
        shift=-2.0,
    )
    text = text_of(page_of(report(judge(history(days()), case(alarms=(alarm,))))))
    assert "For 3 runs , since run r1." in text
    assert f"on the days {old[0]} to {old[-1]}" in text


def test_what_is_learning_and_what_operators_decided() -> None:
    at = dt.datetime(2026, 7, 15, 3, tzinfo=dt.UTC)
    decisions = Decisions(
        accepted=(
            Accepted(name="clicks.events", days=ago(22, 23), shift=0.6931, reason="app <7>", by="anna@ops", at=at),
            Accepted(name="lists.gini", days=ago(22), shift=-0.2, reason="new rule", by="anna@ops", at=at),
        ),
        excluded=(Excluded(dataset="clicks", day=ago(20)[0], reason="half is lost", by="boris@ops", at=at),),
    )
    text = text_of(page_of(report(judge(history(days(weeks=4), runs([0.6] * 4)), case())), decisions=decisions))
    assert "3 of 8 weeks clicks events" in text
    assert "3 of 8 runs lists gini" in text
    assert "The fixed limits of the other gates hold" in text
    assert f"clicks: {ago(20)[0]} is left out half is lost boris@ops 2026-07-15 03:00Z" in text
    assert f"the level since {ago(23)[0]} is the usual one now (2 times the one before) app <7> anna@ops" in text
    assert "(lower than before)" in text


def test_a_gate_that_could_not_judge() -> None:
    def judged() -> DriftProfile:
        raise OSError("no such <file>")

    with pytest.raises(GateFailed) as caught:
        check_drift("input_drift", judged, GateSettings(), {}, as_of=AS_OF, run=RUN)
    text = text_of(page_of(caught.value.report))
    assert "Stopped. The gate input_drift could not judge: OSError: no such <file>" in text
    assert "Everything" not in text


def test_the_page_of_many_statistics_is_small() -> None:
    lost = days(lambda day: 0.5 if day in NEW else 1.0, weeks=50)  # so that each week that is shown has limits
    (base,) = judge(history(lost), case())
    many = [base.model_copy(update={"name": f"share_of_event_{number}"}) for number in range(150)]
    page = page_of(report(many))
    assert page.count("<svg class") == 12 + 150
    assert all(len(one.past) == 30 for one in many)
    assert len(page.encode()) <= 300_000


def test_hostile_names_are_text() -> None:
    (base, *_) = halved()
    odd = base.model_copy(update={"name": 'share_of_"><script>\x00', "subject": "a&b"})
    assert 'share of "><script>' in text_of(page_of(report([odd])))


def finding(*past: tuple[float | None, float | None, float | None], **other: object) -> Finding:
    points = [
        Point(day=AS_OF - dt.timedelta(weeks=len(past) - place), found=found, low=low, high=high)
        for place, (found, low, high) in enumerate(past)
    ]
    fields = {"kind": "events", "subject": "clicks", "name": "events", "mode": "block", "state": "ok", "past": points}
    return Finding.model_validate({**fields, **other})


@pytest.mark.parametrize(
    "odd",
    [
        finding(),
        finding((None, None, None)),
        finding((5.0, None, None)),
        finding((5.0, None, None), (5.0, 5.0, 5.0)),
        finding((0.0, None, None), (0.0, 0.0, None), (0.0, None, 0.0)),
        finding((1e-12, 1e-300, 1e300), (1e12, None, 1e300), value=0.0, days=[AS_OF], low=-1.0),
        finding((-5.0, -9.0, 9.0), (5.0, None, 9.0), value=1e9, days=ago(1)),
        finding(*[(float(n), 0.0, 1e3) for n in range(30)], name="unknown_to_this_code"),
    ],
)
def test_any_history_can_be_drawn(odd: Finding) -> None:
    for drawn in (plot(odd), spark(odd)):
        assert "nan" not in drawn
        assert "inf" not in drawn
        for place in re.findall(r' c?[xy]="([^"]+)"', drawn):
            assert -1 <= float(place) <= 360
        if drawn:
            ElementTree.fromstring(drawn)


def test_the_scale_has_round_values_and_the_band_is_where_limits_are_known() -> None:
    drawn = plot(finding(*[(None, None, None)] * 2, *[(1000.0 + n, 800.0, 1200.0) for n in range(9)]))
    assert re.findall(r'y="[^"]+" dy="3.5" text-anchor="end">([^<]+)<', drawn) == ["800", "1,000", "1,200"]
    assert drawn.count('class="b"') == drawn.count('class="l"') == 1
    assert drawn.count("usual 800 to 1,200</title>") == 9
    assert "– " not in drawn
    wide = plot(finding((10.0, None, None), (1000.0, None, None)))
    assert re.findall(r'y="[^"]+" dy="3.5" text-anchor="end">([^<]+)<', wide) == ["10", "100", "1,000"]


def test_a_gap_in_the_history_is_no_line() -> None:
    weeks = [(float(n), None, None) for n in range(12)]
    known = finding(*weeks)
    past = [point for place, point in enumerate(known.past) if place not in (4, 5, 6)]
    assert spark(known.model_copy(update={"past": tuple(past)})).count('class="l"') == 2


def test_the_page_is_written_beside_the_reports_also_when_the_gate_failed(tmp_path: Path) -> None:
    folder = BoundFolder(str(tmp_path), RUN, {}, remedy="")
    write_page(folder, "input_drift", NOBODY, "groups")  # a gate that refused its overrides has no report
    assert "nothing was judged" in (tmp_path / "drift.html").read_text()
    folder.write_bytes("gate_input_drift.json", report(halved()).to_json().encode())
    folder.write_bytes(
        "gate_list_drift.json", report(judge(history(runs([0.6] * 20)), case()), "list_drift").to_json().encode()
    )
    write_page(folder, "input_drift", NOBODY, "groups")
    assert "lists.gini" not in (tmp_path / "drift.html").read_text()  # of an attempt before, of other features
    write_page(folder, "list_drift", NOBODY, "groups")
    page = (tmp_path / "drift.html").read_text()
    assert "Stopped. clicks" in page
    assert "Gini" in page


def test_a_page_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = BoundFolder(str(tmp_path), RUN, {}, remedy="")
    folder.write_bytes("gate_input_drift.json", b"{ half")
    write_page(folder, "input_drift", NOBODY, "groups")
    assert any("drift.html could not be written" in line for line in caplog.messages)
