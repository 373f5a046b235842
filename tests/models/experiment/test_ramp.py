"""The weekly decision: who wins over whom, step by step."""

import dataclasses

import pytest

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
