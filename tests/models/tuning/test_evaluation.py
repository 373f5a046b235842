"""What is proposed is what the hold-out speaks for beyond noise, and can be merged as it is."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from conf.load import load_settings
from conf.settings import JudgeSettings
from deploy.chain import REPO
from models.judge import Estimate
from models.tuning import (
    Evaluation,
    Part,
    ProposalContext,
    SettingsComparison,
    Trial,
    compare,
    mean_of,
    overlay_of,
    report_of,
)
from tests.models.tuning.conftest import PRESENT

TOLD = ProposalContext("music", "one", "conf/music.yml", {"code": "abc"}, looks=1, k=20)
CHANGES = {"alpha": 0.7, "factors": 64}
TRIALS = [
    Trial(1, "complete", {"factors": 8, "alpha": 0.5}, 0.2, 0.3, {1: 0.1}, 1.0, None),
    Trial(2, "complete", {"factors": 64, "alpha": 0.7012}, 0.25, 0.35, {1: 0.1}, 1.0, None),
    Trial(3, "pruned", {"factors": 64, "alpha": 0.1}, None, None, {1: 0.1}, 1.0, None),
    Trial(4, "failed", {"factors": 64, "alpha": 1.1}, None, None, {}, 1.0, "no numbers"),
]


def evaluation(low: float) -> Evaluation:
    lead = Estimate(100, 0.01, low, 0.02)
    found = SettingsComparison(
        users=100,
        present=Estimate(100, 0.2, 0.19, 0.21),
        popularity=Estimate(100, 0.1, 0.09, 0.11),
        proposed=Estimate(100, 0.21, 0.2, 0.22),
        lead=lead,
    )
    better = found.model_copy(update={"lead": Estimate(100, 0.05, 0.04, 0.06)})
    return Evaluation(trial=2, changes=CHANGES, validation=better, holdout=found)


def test_what_is_better_is_an_overlay_of_only_what_changes(tmp_path: Path) -> None:
    overlay = overlay_of(evaluation(0.001), TOLD)
    assert yaml.safe_load(overlay) == {"train": CHANGES}
    (tmp_path / "proposal.yml").write_text(overlay)
    config = REPO / "conf/prod_discovery.yml"
    before, after = load_settings(config), load_settings(config, [tmp_path / "proposal.yml"])
    assert after == before.model_copy(update={"train": before.train.model_copy(update=CHANGES)})
    page = report_of(evaluation(0.001), TRIALS, PRESENT, TOLD)
    assert page.startswith("# music: a change of `train` is proposed")
    assert "| `train.alpha` | 0.5 | 0.7 |" in page
    assert "+0.0100 [+0.0010, +0.0200] (+5.0%)" in page
    assert "4 trials: 2 complete, 1 pruned, 1 failed" in page
    assert page.index("| 2 | 0.2500 |") < page.index("| 1 (present) | 0.2000 |")
    assert "conf/music.yml" in page


@pytest.mark.parametrize("low", [0.0, -0.001])
def test_noise_is_not_proposed(low: float) -> None:
    assert yaml.safe_load(overlay_of(evaluation(low), TOLD)) == {"train": {}}
    page = report_of(evaluation(low), TRIALS, PRESENT, TOLD)
    assert page.startswith("# music: keep the present settings")
    assert "there is nothing to commit" in page


def test_intervals_hold_the_mean_and_narrow_with_users() -> None:
    draw, judge = np.random.default_rng(0), JudgeSettings()
    few, many = (mean_of(draw.random(size), judge) for size in (100, 10_000))
    assert few.low < few.mean < few.high
    assert many.high - many.low == pytest.approx((few.high - few.low) / 10, rel=0.3)
    assert many.high - many.low == pytest.approx(2 * 1.96 * np.sqrt(1 / 12 / 10_000), rel=0.3)
    values = draw.random(1_000)
    paired = mean_of(values + 0.01 - values, judge)
    assert (paired.low, paired.high) == (pytest.approx(0.01), pytest.approx(0.01))


def test_both_settings_are_judged_on_the_same_users(part: Part) -> None:
    found = compare(part, PRESENT, {"factors": 1, "regularization": 5.0}, JudgeSettings())
    assert found.proposed is not None
    assert found.lead is not None
    assert found.lead.mean == pytest.approx(found.proposed.mean - found.present.mean)
    assert found.lead.high < 0
    assert found.present.mean > found.popularity.mean
    alone = compare(part, PRESENT, {}, JudgeSettings())
    assert (alone.present, alone.proposed, alone.lead) == (found.present, None, None)
