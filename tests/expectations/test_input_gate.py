"""Gate 1 on what comes in: each loss is told by the limit of its dataset, and what cannot be told is said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.gates import GateSettings, InputGate
from expectations.checks import change_of_larger
from expectations.errors import GateFailed, OverrideRefused
from expectations.gate import check_inputs
from expectations.inputs import InputProfile, ServedInputs
from expectations.report import ExpectationResult, GateReport
from tests.expectations.gates import failed
from tests.expectations.inputs import AS_OF, WEEK_BEFORE, days_profile, input_profile, snapshot

SERVED = ServedInputs(WEEK_BEFORE, input_profile())


def gate(profile: InputProfile, before: ServedInputs | None = SERVED, **overrides: str) -> GateReport:
    return check_inputs(profile, GateSettings(), before, overrides, as_of=AS_OF, run="r1")


def row(report: GateReport, name: str) -> ExpectationResult:
    return next(row for row in report.expectations if row.name == name)


HALVED = input_profile({"clicks": days_profile(change=lambda ago: 0.5 if ago <= 7 else 1.0)}).events
LOST: list[tuple[str, dict[str, Any], str]] = [
    ("subscriptions", {"subscriptions": snapshot(1_200, 700)}, "90.0 % (subscriptions: rows 12,000 → 1,200)"),
    ("subscriptions", {"subscriptions": snapshot(6_000, 980)}, "50.0 % (subscriptions: rows 12,000 → 6,000)"),
    ("subscriptions", {"subscriptions": snapshot(11_000, 500)}, "50.0 % (subscriptions: users 1,000 → 500)"),
    ("subscriptions", {"subscriptions": snapshot(24_000, 1_000)}, "50.0 % (subscriptions: rows 12,000 → 24,000)"),
    ("sources", {"sources": snapshot(2_250, eligible=2_100)}, "25.0 % (sources: rows 3,000 → 2,250)"),
    ("eligible_share", {"sources": snapshot(3_010, eligible=3_010)}, "(sources: eligible share 93.3 % → 100.0 %)"),
    ("eligible_share", {"sources": snapshot(3_000, eligible=1_400)}, "(sources: eligible share 93.3 % → 46.7 %)"),
    ("blocks", {"blocks": snapshot(30, 25)}, "95.0 % (blocks: rows 600 → 30)"),
    ("blocks", {"blocks": snapshot(0, 0)}, "100.0 % (blocks: rows 600 → 0)"),
    ("audience", {"audience": snapshot(10_000, 10_000)}, "50.0 % (audience: rows 20,000 → 10,000)"),
    ("new_days", {"events": HALVED}, "(clicks: events of 7 new days, e.g. 2026-11-15 usually 1,200, found 600)"),
]
"""What its limit is of, what is lost or came, what people read."""


@pytest.mark.parametrize(("of", "change", "told"), LOST)
def test_each_loss_fails_alone_and_names_dataset_and_numbers(of: str, change: dict[str, Any], told: str) -> None:
    name = f"max_change_of_{of}"
    with pytest.raises(GateFailed) as caught:
        gate(input_profile(**change))
    assert failed(caught) == [name]
    assert told in str(caught.value)
    assert f"--override {name}=REASON" in str(caught.value)
    lifted = gate(input_profile(**change), **{name: "right as it is"})
    assert (lifted.passed, row(lifted, name).overridden) == (True, "right as it is")


def test_a_week_as_usual_passes_every_limit_and_every_limit_is_asked() -> None:
    grown = input_profile(
        subscriptions=snapshot(13_000, 1_050),
        sources=snapshot(3_090, eligible=2_900),
        audience=snapshot(20_300, 20_300),
    )
    report = gate(grown)
    assert [row.name for row in report.expectations] == [*InputGate.model_fields]
    assert {row.status for row in report.expectations} == {"ok"}
    assert not any(row.protected for row in report.expectations)


def test_the_first_run_skips_all_of_it_aloud() -> None:
    report = gate(input_profile(), None)
    assert {row.name: row.skipped for row in report.expectations} == dict.fromkeys(
        InputGate.model_fields, "first run: no baseline"
    )


def test_a_run_from_before_snapshots_were_counted_is_no_baseline_but_its_day_is() -> None:
    report = gate(input_profile(), ServedInputs(WEEK_BEFORE, "no baseline: run r0 is from before this was counted"))
    skipped = {row.name: row.skipped for row in report.expectations if row.skipped}
    assert set(skipped) == {*InputGate.model_fields} - {"max_change_of_new_days"}
    assert all("no baseline: run r0" in str(reason) for reason in skipped.values())
    halved = input_profile({"clicks": days_profile(change=lambda ago: 0.5 if ago <= 7 else 1.0)})
    with pytest.raises(GateFailed, match="max_change_of_new_days"):
        gate(halved, ServedInputs(WEEK_BEFORE, "none"))


@pytest.mark.parametrize("name", ["subscriptions", "sources", "blocks", "audience"])
def test_a_snapshot_that_comes_or_goes_with_the_settings_is_said(name: str) -> None:
    without = input_profile(**{name: None})
    gone, came = gate(without), gate(input_profile(), ServedInputs(WEEK_BEFORE, without))
    assert row(gone, f"max_change_of_{name}").skipped == f"the settings have no {name} any more"
    assert row(came, f"max_change_of_{name}").skipped == f"the settings of the run that serves had no {name}"
    neither = gate(without, ServedInputs(WEEK_BEFORE, without))
    assert row(neither, f"max_change_of_{name}").skipped == f"the settings have no {name}"
    if name == "sources":
        assert row(gone, "max_change_of_eligible_share").skipped


def test_few_rows_vary_by_chance() -> None:
    before = ServedInputs(WEEK_BEFORE, input_profile(blocks=snapshot(99, 60), sources=snapshot(300, eligible=285)))
    report = gate(input_profile(blocks=snapshot(20, 15), sources=snapshot(305, eligible=300)), before)
    assert row(report, "max_change_of_blocks").skipped == "99 rows before, compared from 100"
    few = "15 sources could not be recommended before, compared from 20"
    assert row(report, "max_change_of_eligible_share").skipped == few
    before = ServedInputs(WEEK_BEFORE, input_profile(blocks=snapshot(100, 12)))
    assert row(gate(input_profile(blocks=snapshot(101, 4)), before), "max_change_of_blocks").passed  # few blockers


def test_sources_that_are_all_eligible_as_before_pass() -> None:
    everything = input_profile(sources=snapshot(3_000, eligible=3_000))
    assert gate(everything, ServedInputs(WEEK_BEFORE, everything)).passed


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_half_is_as_much_of_a_change_as_twice(now: int, before: int) -> None:
    change = change_of_larger(now, before)
    assert change == change_of_larger(before, now)
    assert change is not None
    assert 0 <= change <= 1
    assert (change == 0) == (now == before)


def test_one_dataset_among_others_is_named_and_one_that_cannot_be_compared_is_said() -> None:
    events = {
        "clicks": days_profile(),
        "joins": days_profile(change=lambda ago: 0.5 if ago <= 7 else 1.0),
        "views": days_profile(ago=range(1, 8)),  # a dataset that began a week ago
    }
    with pytest.raises(GateFailed) as caught:
        gate(input_profile(events))
    assert "joins: events of 7 new days" in str(caught.value)
    assert "not compared: views: 7 new days, 0 of them with an older one of their weekday" in str(caught.value)
    alone = gate(input_profile({"views": events["views"]}))
    assert "0 of them with an older one" in (row(alone, "max_change_of_new_days").skipped or "")


def test_an_override_of_what_comes_in_needs_a_reason() -> None:
    with pytest.raises(OverrideRefused, match="reason is empty"):
        gate(input_profile(), None, max_change_of_blocks=" ")


def test_a_report_on_what_came_in_survives_json() -> None:
    report = gate(input_profile())
    assert GateReport.from_json(report.to_json()) == report
