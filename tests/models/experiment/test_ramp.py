"""The weekly decision: who wins over whom, step by step."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.experiment.decide import Guardrail, Harm
from models.experiment.mismatch import Mismatch
from models.experiment.ramp import Known, Operator, Ramp, decide

RAMP = Ramp((100, 500, 2_500, 5_000, 9_500), "auto")
HEALTHY = Known(2_500, measured=True, harms=(Harm(Guardrail("clicks", 0.01), "held", "clicks fine"),))
LOST = Mismatch((5_000.0,), 900, 1_000.0)


def harmed(state: str, known: Known = HEALTHY) -> Known:
    said = f"clicks {state}"
    return dataclasses.replace(known, harms=(*known.harms, Harm(Guardrail("joins", 0.01), state, said)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "operator", "said"),
    [
        (Known(0, measured=False), Operator(), "raise at 1 %: the first step"),
        (HEALTHY, Operator(), "raise at 50 %: clicks fine"),
        (dataclasses.replace(HEALTHY, harms=()), Operator(), "raise at 50 %: no guardrail is broken"),
        (dataclasses.replace(HEALTHY, share_bp=9_500), Operator(), "hold at 95 %: the last step is reached"),
        (
            dataclasses.replace(HEALTHY, measured=False),
            Operator(),
            "hold at 25 %: the outcomes of last week are not there yet",
        ),
        (
            dataclasses.replace(HEALTHY, whole_week=False),
            Operator(),
            "hold at 25 %: no whole week at 25 % is measured yet",
        ),
        (harmed("broken", dataclasses.replace(HEALTHY, whole_week=False)), Operator(), "stop at 0 %: clicks broken"),
        (harmed("suspected"), Operator(), "hold at 25 %: clicks suspected"),
        (harmed("unknown"), Operator(), "hold at 25 %: clicks unknown"),
        (
            harmed("suspected", dataclasses.replace(HEALTHY, share_bp=100)),
            Operator(),
            "raise at 5 %: clicks fine; clicks suspected",
        ),
        (harmed("broken"), Operator(), "stop at 0 %: clicks broken"),
        (harmed("broken", dataclasses.replace(HEALTHY, share_bp=100)), Operator(), "stop at 0 %: clicks broken"),
        (dataclasses.replace(HEALTHY, stopped=True), Operator(), "stop at 0 %: it was stopped before"),
        (harmed("broken", dataclasses.replace(HEALTHY, measured=False)), Operator(), "stop at 0 %: clicks broken"),
        (HEALTHY, Operator(killed=True), "hold at 0 %: the kill switch is on"),
        (harmed("broken"), Operator(killed=True), "hold at 0 %: the kill switch is on"),
        (dataclasses.replace(HEALTHY, stopped=True), Operator(killed=True), "stop at 0 %: it was stopped before"),
        (HEALTHY, Operator(held=True), "hold at 25 %: an operator holds the share"),
        (HEALTHY, Operator(cap_bp=2_500), "hold at 25 %: an operator's cap is 25 %"),
        (HEALTHY, Operator(cap_bp=3_000), "raise at 30 %: clicks fine; an operator's cap is 30 %"),
        (HEALTHY, Operator(cap_bp=500), "hold at 5 %: an operator's cap is 5 %"),
        (
            HEALTHY,
            Operator(held=True, cap_bp=500),
            "hold at 5 %: an operator holds the share; an operator's cap is 5 %",
        ),
        (Known(0, measured=False), Operator(cap_bp=0), "hold at 0 %: an operator's cap is 0 %"),
    ],
)
def test_decisions(known: Known, operator: Operator, said: str) -> None:
    assert str(decide(RAMP, known, operator)) == said


def test_a_mismatch_holds_and_hides_every_effect() -> None:
    decision = decide(RAMP, dataclasses.replace(harmed("broken"), mismatch=LOST), Operator())
    assert (decision.action, decision.share_bp) == ("hold", 2_500)
    assert decision.reasons[-1] == "no effect is shown"
    assert not any("clicks" in reason for reason in decision.reasons)
    assert decide(RAMP, dataclasses.replace(HEALTHY, mismatch=Mismatch((2.0,), 1, 1.0)), Operator()).action == "raise"


def test_a_manual_ramp_waits_for_each_step() -> None:
    ramp = dataclasses.replace(RAMP, approve="manual")
    assert str(decide(ramp, HEALTHY, Operator())) == "hold at 25 %: 50 % waits for an approval"
    assert str(decide(ramp, HEALTHY, Operator(approved_bp=2_500))) == "hold at 25 %: 50 % waits for an approval"
    assert decide(ramp, HEALTHY, Operator(approved_bp=5_000)).share_bp == 5_000


def test_no_decision_is_above_the_cap() -> None:
    for share in (0, 100, 2_500, 9_500):
        for cap in (0, 100, 4_000, 10_000):
            for state in ("held", "suspected", "broken", "unknown"):
                known = harmed(state, dataclasses.replace(HEALTHY, share_bp=share))
                decision = decide(RAMP, known, Operator(cap_bp=cap))
                assert decision.share_bp <= cap
                assert decision.reasons


def test_who_goes_back_to_nobody_is_judged_by_what_was_seen() -> None:
    back = Known(0, measured=True, harms=HEALTHY.harms)
    assert str(decide(RAMP, back, Operator())) == "raise at 1 %: clicks fine"
    assert str(decide(RAMP, harmed("broken", back), Operator())) == "stop at 0 %: clicks broken"
    assert str(decide(RAMP, harmed("suspected", back), Operator())) == "raise at 1 %: clicks fine; clicks suspected"
    lost = decide(RAMP, dataclasses.replace(back, mismatch=LOST), Operator())
    assert (lost.action, lost.share_bp) == ("hold", 0)


SHARES = st.just(0) | st.sampled_from([0, 1, 100, 500, 2_000, 2_500, 5_000, 9_500, 10_000]) | st.integers(0, 10_000)
HARMS = st.builds(
    Harm,
    st.builds(Guardrail, st.sampled_from(["clicks", "joins"]), st.just(0.01)),
    st.sampled_from(["broken", "suspected", "held", "unknown"]),
    st.just("as is"),
)
KNOWN = st.builds(
    Known,
    SHARES,
    measured=st.booleans(),
    whole_week=st.booleans(),
    stopped=st.booleans(),
    mismatch=st.sampled_from([None, Mismatch((2.0,), 1, 1.0), LOST]),
    harms=st.lists(HARMS, max_size=3).map(tuple),
)
OPERATOR = st.builds(Operator, killed=st.booleans(), held=st.booleans(), cap_bp=SHARES, approved_bp=SHARES)
RAMPS = st.builds(
    Ramp,
    st.lists(st.integers(1, 9_999), min_size=1, max_size=6, unique=True).map(lambda steps: tuple(sorted(steps))),
    st.sampled_from(["manual", "auto"]),
)


@given(RAMPS, KNOWN, OPERATOR)
def test_people_win_over_every_decision(ramp: Ramp, known: Known, operator: Operator) -> None:
    made = decide(ramp, known, operator)
    assert made.reasons
    assert made.share_bp <= operator.cap_bp
    if operator.killed or known.stopped:
        assert made.share_bp == 0
    if operator.held:
        assert made.action != "raise"
    if made.action == "raise":
        assert known.share_bp < made.share_bp <= ramp.next_step(known.share_bp)  # type: ignore[operator]
        assert ramp.approve == "auto" or operator.approved_bp >= made.share_bp
    else:
        assert made.share_bp <= known.share_bp
    assert (made.action == "stop") <= (made.share_bp == 0)


@given(RAMPS, KNOWN, SHARES)
def test_nothing_rises_on_harm_or_on_a_mismatch(ramp: Ramp, known: Known, cap_bp: int) -> None:
    known = dataclasses.replace(known, stopped=False)
    made = decide(ramp, known, Operator(cap_bp=cap_bp, approved_bp=10_000))
    if known.mismatch is LOST:
        assert made.action == "hold"
    else:
        assert (made.action == "stop") is any(harm.state == "broken" for harm in known.harms)
