"""What a run knows of its version gets onto the page, beside what MLflow keeps of the versions before."""

import itertools
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conf import contract
from jobs.run.context import Run
from jobs.run.report import CARD_PART
from jobs.stages.training import model_card_history
from jobs.stages.training.model_card import VersionMeasurements, measure_version, shapes_of, write_model_card
from models.arrays.arrow import column_of, list_column
from models.errors import PlotFailed
from models.golden import golden_metrics
from models.judge import CHAMPION, OURS, FigureKey
from models.model_card import SCORES, SOURCE_NORMS, USER_NORMS
from models.model_card import write as write_module
from models.registry import MODEL_CARD, ModelRegistry, RunRecord
from models.registry.lineage import Decision
from models.training.learning_curve import Point
from tests.jobs.commands import Discovery
from tests.jobs.lineages import made, run_of
from tests.models.model_cards import GOLDEN, judgement

_NUMBERS = itertools.count()
WEEKS = [f"202611{day:02d}T030000Z-202611{day:02d}-1" for day in (2, 9, 16)]


@pytest.fixture
def registry(model_store: str) -> ModelRegistry:
    return ModelRegistry(model_store)


def trained(
    registry: ModelRegistry, home: Path, run_id: str, product: str, *, lists: str = "train_lists", **manifest: Any
) -> Run:
    """A run with factors of 40 users and 9 sources and with judged lists."""
    run = run_of(registry, home, run_id, product=product, **manifest)
    draw = np.random.default_rng(len(run_id))
    for table, rows in (("user_factors", 40), ("source_factors", 9)):
        schema = getattr(contract, table)("int64")
        vectors = list_column(np.full(rows, 4), column_of(draw.standard_normal(4 * rows).astype(np.float32)))
        batch = pa.RecordBatch.from_arrays([pa.array(range(rows), schema[0].type), vectors], schema=schema)
        run.folder.write_table(table, [batch], schema)
    schema = contract.lists("int64")
    rows = [[1, 2], [[3, 4], [5]], [[0.75, 0.5], [12_345.0]], [True, False]]
    batch = pa.RecordBatch.from_arrays([pa.array(c, t) for c, t in zip(rows, schema.types, strict=True)], schema=schema)
    run.folder.write_table(lists, [batch], schema)
    return run


def findings(run: Run, **changes: Any) -> VersionMeasurements:
    fields = {"judgement": judgement(1), "golden": GOLDEN, "shapes": shapes_of(run, "train_lists"), "curve": "none"}
    return VersionMeasurements(**{**fields, **changes})


def page(run: Run) -> str:
    return run.folder.read_bytes(f"{MODEL_CARD}/model_card.md").decode()


def line(text: str, *words: str) -> list[str]:
    """The cells of the one table row that begins so."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")]
    (found,) = [row for row in rows if row[: len(words)] == list(words)]
    return found


def keep(run: Run, found: VersionMeasurements, metrics: dict[str, float], **params: str) -> str:
    """Registers the run with its pages, as the train stage does; returns the version."""
    lineage = json.dumps({**found.kept, "of other code": 1})
    artifacts = write_model_card(run, made(run), found).folder
    registry, product = run.servers.registry, run.settings.product
    mlflow_run = registry.log_run(RunRecord(product, run.run_id, "abc", lineage, params, metrics, [], artifacts))
    tags = {"discovery.run_id": run.run_id, "discovery.as_of": f"{run.run_id[17:21]}-11-{run.run_id[6:8]}"}
    return registry.register(product, mlflow_run, run.folder.uri, tags)


def ndcg_of(arm: str) -> float:
    return judgement(1).figures[FigureKey(arm, "all", "ndcg")].mean


METRICS = {"judged.k": 20.0, "judged.ndcg": 0.1111, "judged.ndcg.low": 0.1, "judged.ndcg.high": 0.12}
METRICS |= {"judged.popularity.ndcg": 0.0999, "users": 60.0, "interactions": 600.0, "golden.ndcg": 0.2798}
METRICS |= {"judged.champion.ndcg": 0.1777}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the seconds that drawing takes."""
    monkeypatch.setattr(write_module, "png_of", lambda plot: plot.name.encode())


@pytest.mark.usefixtures("undrawn")
def test_three_weeks(registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    product = f"model_card_{next(_NUMBERS)}"
    first = trained(registry, tmp_path, WEEKS[0], product)
    one = keep(first, findings(first), {"judged.ndcg": 0.1})  # as of older code
    assert "no version was registered before this one" in page(first)
    assert "There is none to compare with: nothing served before." in page(first)
    second = trained(registry, tmp_path, WEEKS[1], product, serving_before=WEEKS[0])
    two = keep(second, findings(second), METRICS, **{"golden.sha256": GOLDEN.sha256})
    assert line(page(second), "2026-11-16", "–")[6].startswith(f"{ndcg_of(OURS):.4f} (")
    by_champion = made(second, decision=Decision(winner="champion", reason="a reason"))
    write_model_card(second, by_champion, findings(second))
    assert line(page(second), "2026-11-16", "–")[6].startswith(f"{ndcg_of(CHAMPION):.4f} (")
    third = trained(registry, tmp_path, WEEKS[2], product, serving_before=WEEKS[1])
    keep(
        third, findings(third, judgement="too few users"), METRICS, **{"golden.sha256": "0" * 64, "winner": "champion"}
    )
    text = page(third)
    weeks = json.loads(third.folder.read_bytes(CARD_PART))["weeks"]
    assert [(week["as_of"], week["ndcg"]) for week in weeks][:2] == [("2026-11-02", 0.1), ("2026-11-09", 0.1111)]
    assert line(text, "2026-11-02")[1:] == [one, WEEKS[0], "–", "–", "–", "0.1000", "–", "–"]
    golden_week = [two, WEEKS[1], "60", "600", "20", "0.1111 (0.1000 … 0.1200)", "0.0999", "0.2798"]
    assert line(text, "2026-11-09")[1:] == golden_week
    assert line(text, "2026-11-16", "–")[2:] == [WEEKS[2], "60", "600", "–", "–", "–", "0.2798"]
    assert line(text, "scores of the judged lists", "champion")[2] == "2"
    assert line(text, "norms of user factors", "champion")[2] == "40"
    assert line(text, "champion", f"{GOLDEN.name} {GOLDEN.version}")[2:] == ["0.2798", "0.4042"]
    assert "Not judged: too few users." in text
    monkeypatch.setattr(model_card_history, "_WEEKS", 1)
    fourth = trained(registry, tmp_path, "20261123T030000Z-20261123-1", product, serving_before="gone")
    write_model_card(fourth, made(fourth), findings(fourth))
    text = page(fourth)
    assert "MLflow has no version of run gone." in text
    assert line(text, "2026-11-16", "3")[6:] == [
        "0.1777",
        "0.0999",
        "–",
    ]  # by the champion's recipe, on other golden data
    assert f"| {WEEKS[1]} |" not in text


@pytest.mark.usefixtures("undrawn")
def test_the_same_run_again_is_not_one_of_the_weeks_before(registry: ModelRegistry, tmp_path: Path) -> None:
    run = trained(registry, tmp_path, WEEKS[0], f"model_card_{next(_NUMBERS)}")
    keep(run, findings(run), METRICS)
    before = page(run)
    write_model_card(run, made(run), findings(run))
    assert page(run) == before


def test_shapes_are_of_the_factors_and_of_personal_scores(registry: ModelRegistry, tmp_path: Path) -> None:
    run = trained(registry, tmp_path, WEEKS[0], f"model_card_{next(_NUMBERS)}")
    found = shapes_of(run, "train_lists")
    assert {name: shape.count for name, shape in found.items()} == {SCORES: 2, USER_NORMS: 40, SOURCE_NORMS: 9}
    assert shapes_of(run, None).keys() == {USER_NORMS, SOURCE_NORMS}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("winner", "fit"), [("challenger", "train_"), ("champion", "champion_train_")])
def test_what_the_stage_finds_out(registry: ModelRegistry, tmp_path: Path, winner: str, fit: str) -> None:
    run = trained(registry, tmp_path, WEEKS[0], f"model_card_{next(_NUMBERS)}", lists=f"{fit}lists")
    points = [{"iteration": 1, "seconds": 0.5, "ndcg": 0.1}, {"iteration": 2, "seconds": 0.25, "ndcg": 0.125}]
    run.folder.write_document(f"{fit}training.json", {"algorithm": "als", "curve": points})
    version = made(run, decision=Decision(winner=winner, reason="a reason"))
    found = measure_version(run, version, judgement(1))
    assert found.golden == golden_metrics(run.settings.train)
    assert found.curve == [Point(1, 0.5, 0.1), Point(2, 0.25, 0.125)]
    assert found.shapes == shapes_of(run, f"{fit}lists")
    run.folder.write_document(f"{fit}training.json", {"algorithm": "als_spark"})
    unreported = measure_version(run, version, judgement(1)).curve
    assert isinstance(unreported, str)
    assert "the trainer als_spark reported no iterations" in unreported
    write_model_card(run, version, found)
    assert line(page(run), "decision")[1] == f"the recipe of the {winner}: a reason"


def test_a_run_that_was_not_judged_needs_no_judged_tables(registry: ModelRegistry, tmp_path: Path) -> None:
    run = trained(registry, tmp_path, WEEKS[0], f"model_card_{next(_NUMBERS)}", lists="other_lists")
    found = measure_version(run, made(run), "too few users")
    assert found.shapes.keys() == {USER_NORMS, SOURCE_NORMS}
    assert found.curve == "no training was judged (too few users)"
    assert json.loads(json.dumps(found.kept)) == found.kept


def test_a_plot_that_fails_is_a_warning_and_no_stop(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> bytes:
        raise PlotFailed("the plot could not be drawn (no font)")

    monkeypatch.setattr(write_module, "png_of", fail)
    run = trained(registry, tmp_path, WEEKS[0], f"model_card_{next(_NUMBERS)}")
    with caplog.at_level(logging.WARNING, "discovery"):
        written = write_model_card(run, made(run), findings(run))
    assert written.faults
    assert set(written.faults) == {"the plot could not be drawn (no font)"}
    assert "model card: the plot could not be drawn" in caplog.text
    assert "could not be drawn" in page(run)


def test_the_pages_of_a_version_from_before_they_were_model_cards(
    discovery: Discovery, product: str, registry: ModelRegistry, model_store: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", model_store)
    monkeypatch.chdir(tmp_path)
    pages = {f"passport.{kind}": f"a page as {kind}" for kind in ("html", "md")} | {"weeks.png": "a plot"}
    for name, page in pages.items():
        path = tmp_path / "artifacts" / "passport" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page)
    run = registry.log_run(RunRecord(product, WEEKS[0], "abc", "{}", {}, {}, [], tmp_path / "artifacts"))
    version = registry.register(product, run, "/factors", {"discovery.run_id": WEEKS[0]})
    for word in ("card", "passport"):
        said = discovery("model", word, version, "--out", word)
        assert said.out.splitlines()[1:] == [f"{word}/passport.html", f"{word}/passport.md"]
        assert {file.name: file.read_text() for file in (tmp_path / word).iterdir()} == pages
    assert "passport" not in discovery("model", "--help").out


def test_fetching_the_pages_of_a_version(
    discovery: Discovery,
    product: str,
    registry: ModelRegistry,
    model_store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", model_store)
    monkeypatch.chdir(tmp_path)
    run = trained(registry, tmp_path / "home", WEEKS[0], product)
    version = keep(run, findings(run), METRICS)
    said = discovery("model", "card", version)
    assert said.out.splitlines()[1:] == [f"model-card-{product}-{version}/model_card.{kind}" for kind in ("html", "md")]
    assert said.log == ""
    data = discovery("model", "card", "challenger", "--out", str(tmp_path / "there"), "--json").data
    assert (data["version"], data["folder"]) == (version, str(tmp_path / "there"))
    names = {file.base_name for file in run.folder.files(MODEL_CARD)} - {"part.json"}
    assert {Path(file).name for file in data["files"]} == names
    for name in names:
        assert (tmp_path / "there" / name).read_bytes() == run.folder.read_bytes(f"{MODEL_CARD}/{name}")
    bare = registry.log_run(RunRecord(product, WEEKS[1], "abc", "{}", {}, {}))
    older = registry.register(product, bare, "/factors", {"discovery.run_id": WEEKS[1]})
    refused = discovery("model", "card", older)
    assert (refused.code, refused.out) == (2, "")
    assert f"no model card was kept with version {older} of {product}" in refused.log
