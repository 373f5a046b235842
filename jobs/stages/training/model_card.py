"""Makes the model card of a run's version: what the run knows of it, beside the champion and earlier versions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.training import train_settings
from jobs.run.context import Run
from jobs.run.report import CARD_PART
from jobs.runtime.log import log, timed
from jobs.stages.training.model_card_history import champion_page, weeks_before, whole
from models.golden import GoldenMetrics, golden_metrics
from models.judge import ALL, CHAMPION, OURS, POPULARITY, FigureKey, Judgement
from models.model_card import (
    SCORES,
    SOURCE_NORMS,
    USER_NORMS,
    ModelCard,
    Shape,
    Week,
    norm_shape,
    part_of_report,
    score_shape,
    write_pages,
)
from models.registry import MODEL_CARD
from models.registry.lineage import Lineage
from models.training.learning_curve import Point


@dataclass(frozen=True)
class VersionMeasurements:
    """What the train stage measured of a version."""

    judgement: Judgement | str
    """Or why it was not judged."""
    golden: GoldenMetrics
    shapes: Mapping[str, Shape]
    curve: Sequence[Point] | str
    """Or why there is none."""

    @property
    def kept(self) -> dict[str, Any]:
        """What goes into the lineage as JSON values, for comparison on later versions' pages."""
        shapes = {name: shape.to_json() for name, shape in self.shapes.items()}
        return {"golden": self.golden.to_json(), "shapes": shapes}


@dataclass(frozen=True)
class WrittenPages:
    """The pages of a model card: `folder` holds only the folder `model_card`; `faults`: why plots are missing."""

    folder: Path
    faults: list[str]


def measure_version(run: Run, made: Lineage, judgement: Judgement | str) -> VersionMeasurements:
    """Measures the recipe on the golden data, and reads the shapes and the learning curve.

    judgement: or why there is none. Raises GoldenChanged.
    """
    fit = "champion_train_" if made.decision.winner == "champion" else "train_"
    judged = not isinstance(judgement, str)
    curve = _curve(run, f"{fit}training.json") if judged else f"no training was judged ({judgement})"
    golden = golden_metrics(train_settings(made.recipe["train"]))
    return VersionMeasurements(judgement, golden, shapes_of(run, f"{fit}lists" if judged else None), curve)


def _curve(run: Run, stats: str) -> Sequence[Point] | str:
    """Returns the learning curve that a training kept, or why there is none."""
    facts = run.folder.read_document(stats)
    if facts.get("curve"):
        return [Point(**point) for point in facts["curve"]]
    trainer = facts.get("algorithm", "unknown")
    return f"the trainer {trainer} reported no iterations, or it trained none of the users with a truth"


def shapes_of(run: Run, lists: str | None) -> dict[str, Shape]:
    """Returns the shapes of the factors' norms, and of the scores in the judged lists (table `lists`), if any."""
    found = {
        SCORES: None if lists is None else score_shape(run.folder.table(lists)),
        USER_NORMS: norm_shape(run.folder.table("user_factors")),
        SOURCE_NORMS: norm_shape(run.folder.table("source_factors")),
    }
    return {name: shape for name, shape in found.items() if shape is not None}


def write_model_card(run: Run, made: Lineage, found: VersionMeasurements) -> WrittenPages:
    """Writes the pages of the version before it is registered, locally and into the run's folder.

    A plot that cannot be drawn is a warning. Raises RegistryError.
    """
    with timed("train", "model card"):
        folder = run.scratch / f"artifacts-{run.run_id}"
        card = _model_card(run, made, found)
        faults = write_pages(card, folder / MODEL_CARD)
        for fault in faults:
            log.warning("warning   model card: %s", fault)
        for file in sorted((folder / MODEL_CARD).iterdir()):
            run.folder.write_bytes(f"{MODEL_CARD}/{file.name}", file.read_bytes())
        run.folder.write_bytes(CARD_PART, json.dumps(part_of_report(card)).encode())
    return WrittenPages(folder, faults)


def _model_card(run: Run, made: Lineage, found: VersionMeasurements) -> ModelCard:
    arm = CHAMPION if made.decision.winner == "champion" else OURS
    return ModelCard(
        lineage=made,
        arm=arm,
        judgement=found.judgement,
        rules=run.settings.judge,
        curve=found.curve,
        shapes=found.shapes,
        golden=found.golden,
        now=_this_week(made, found, arm),
        before=weeks_before(run, found.golden),
        champion=champion_page(run, found.golden),
    )


def _this_week(made: Lineage, found: VersionMeasurements, arm: str) -> Week:
    judged = None if isinstance(found.judgement, str) else found.judgement
    ndcg, popularity = (
        None if judged is None else judged.figures.get(FigureKey(name, ALL, "ndcg")) for name in (arm, POPULARITY)
    )
    return Week(
        version=None,
        run_id=made.run_id,
        as_of=made.as_of.isoformat(),
        k=None if judged is None else judged.k,
        ndcg=None if ndcg is None else ndcg.mean,
        low=None if ndcg is None else ndcg.low,
        high=None if ndcg is None else ndcg.high,
        popularity=None if popularity is None else popularity.mean,
        golden=found.golden.ndcg,
        users=whole(made.training.get("users")),
        sources=whole(made.training.get("sources")),
        interactions=whole(made.training.get("interactions")),
    )
