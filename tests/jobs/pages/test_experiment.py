"""The page of an experiment: one file, its drawings, and nothing but the mismatch where there is one."""

import re
import xml.dom.minidom
from pathlib import Path

import pytest

from conf.judging import JudgingSettings
from jobs.experiments.report import Reporting
from jobs.experiments.weeks import WeekStore
from jobs.pages.experiment import experiment_page
from jobs.pages.forest import Whisker, beside, by_week, common_scale
from jobs.storage.store import Storage
from models.experiment.decide import Guardrail
from tests.jobs.experiments.measured import measured
from tests.jobs.experiments.test_store import experiment

LIFTS = {"events": 0.0, "new": 0.1, "seen": 0.0, "new:category=<script>alert(1)</script>\x1b": 0.2}


@pytest.fixture
def store(tmp_path: Path) -> WeekStore:
    return WeekStore(Storage(str(tmp_path)))


def page(store: WeekStore, lost: float = 0.0) -> str:
    record = measured(store, [2_500, 2_500], LIFTS, lost=lost, constant=["seen"])
    judged_by = JudgingSettings(metrics=("new", "events", "seen"), weeks=4)
    rails = [Guardrail("events", 0.01)]
    return experiment_page(Reporting(experiment(product="told"), record, store, judged_by, rails).report())


def test_it_is_one_file_that_loads_nothing_and_runs_nothing(store: WeekStore) -> None:
    made = page(store)
    xml.dom.minidom.parseString(made)
    assert "<script" not in made
    assert not re.search(r"(src|href)=|url\(|@import|\x1b", made)
    assert "&lt;script&gt;alert(1)" in made
    assert made.count('<svg class="plot"') == 2
    assert made.count('<path class="margin"') == 1
    assert made.count('<svg class="forest"') == 1
    assert "<h1>More new (+" in made
    assert "constant: all users have the same value" in made
    assert made == page(store)


def test_on_a_mismatch_there_is_nothing_else(store: WeekStore) -> None:
    made = page(store, lost=0.3)
    assert "<h1>Sample-ratio mismatch: no effect is shown</h1>" in made
    assert "<svg" not in made
    assert "events" not in made


def test_an_interval_that_is_too_wide_ends_at_the_edge() -> None:
    wide = Whisker(0.01, (-9.0, 9.0), "wide", 1)
    narrow = Whisker(0.01, (0.0, 0.02), "narrow", 2, "more")
    drawn = by_week([wide, narrow, Whisker(0.01, None, "none", 3)], 4, "lift")
    assert drawn.count('<path class="w "') == 1
    assert drawn.count('<path class="w more"') == 3
    assert drawn.count("grows") == 1
    assert "NaN" not in by_week([Whisker(0.0, None, "", 1)], 1, "lift")
    scale = common_scale([wide, narrow, narrow])
    assert scale < 0.1
    assert beside(wide, scale).count("<path") == 2
    assert beside(narrow, scale).count("<path") == 4
    assert common_scale([]) > 0
