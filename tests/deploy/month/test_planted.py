"""The planted effect of a week: what the same users do with the same lists, with it and without."""

import datetime as dt
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from deploy.demo.life import Life
from deploy.demo.planted_lists import PlantedLists, PlantedModel
from deploy.demo.reactions import Habits
from deploy.demo.tastes import World
from deploy.demo.visits import visit
from deploy.demo.world import generate
from deploy.month.planted import planted_reactions

WORLD = World(users=300, sources=100, days=7, events=5_000, as_of=dt.date(2026, 11, 2), seed=3)
SHARE_BP = 4_000


def lived(folder: Path, effect: float) -> Path:
    """The truth of a world of which a day was lived, with pinned lists for both arms."""
    generate(folder, WORLD)
    life = Life.of(folder)
    models = {"treatment": PlantedModel("run"), "control": PlantedModel("run-control", seed=2)}
    lists = PlantedLists(life.population, life.followed(WORLD.as_of), models, share_bp=SHARE_BP)
    visit(life, WORLD.as_of, lists, Habits(visits_per_user=1.0, effects={"treatment": effect}))
    return folder / "_truth"


@pytest.mark.parametrize("effect", [1.0, 1.6, 0.4])
def test_it_is_the_difference_that_the_effect_makes(tmp_path: Path, effect: float) -> None:
    here, without = lived(tmp_path / "with", effect), lived(tmp_path / "without", 1.0)
    treated = 120
    totals = []
    for truth in (here, without):
        shown = pq.ParquetFile(truth / "shown" / f"dt={WORLD.as_of}" / "part-0.parquet").read()
        counted = pc.and_(pc.equal(shown["run"], "run"), pc.invert(shown["by_itself"]))
        totals.append(pc.sum(shown.filter(counted)["probability"]).as_py())
    planted = planted_reactions(here, [WORLD.as_of], effect, treated)
    assert planted == pytest.approx((totals[0] - totals[1]) / treated, rel=1e-9)
    assert (planted > 0) == (effect > 1)
