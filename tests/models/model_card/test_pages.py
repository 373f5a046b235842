"""The pages of a version: every figure is on them, what is missing is named, and no value can break them."""

import base64
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.archive import write_archive
from deploy.chain import REPO
from jobs.pages.report import Known
from jobs.pages.report.card import card_part
from models.errors import PlotFailed
from models.judge import ALL, CHAMPION, ITEM_KNN, OURS, Judgement
from models.judge.judgement import SEGMENTS
from models.model_card import SCORES, ChampionPage, ModelCard, part_of_report, write_pages
from models.model_card import write as write_module
from models.model_card.plots import plots_of
from models.model_card.write import pages_of, png_of
from models.pages import Plot
from models.pages.render import paragraph
from models.registry.lineage import Decision
from models.training.learning_curve import Point
from tests.models.model_cards import ARMS, GOLDEN, judgement, model_card, week

PLOTS = ("segments", "weeks", "learning_curve", "shapes")


def drawn(card: ModelCard) -> list[str]:
    return [plot.name for plot in plots_of(card)]


def pages(card: ModelCard) -> dict[str, str]:
    """Both pages without their plots."""
    return pages_of(card, {}, dict.fromkeys(drawn(card), "not drawn"))


def parsed(card: ModelCard) -> ElementTree.Element:
    """The HTML without its plots, read as XML."""
    return ElementTree.fromstring(pages(card)["html"].removeprefix("<!DOCTYPE html>"))


def text_of(one: ElementTree.Element) -> str:
    return "".join(one.itertext())


def rows_of(card: ModelCard) -> Iterator[tuple[str, ...]]:
    """All lines of all tables, after their section's title."""
    title = ""
    for one in parsed(card).iter():
        if one.tag == "h2":
            title = text_of(one)
        if one.tag == "tr":
            yield (title, *map(text_of, one))


def words(card: ModelCard) -> str:
    """All paragraphs."""
    return " ".join(" ".join(map(text_of, parsed(card).iter("p"))).split())


def cells_of(markdown: str) -> list[str]:
    """The cells below the headers of all tables, without what Markdown needs."""
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    rows = [line for table in tables for line in table.splitlines()[2:]]
    return [re.sub(r"\\(.)", r"\1", cell).strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def cell(mean: float, low: float, high: float, sign: str = "") -> str:
    return f"{mean:{sign}.4f} ({low:{sign}.4f} … {high:{sign}.4f})"


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    others=st.sets(st.sampled_from(ARMS[1:])),
    segments=st.sets(st.sampled_from(SEGMENTS[1:])),
)
def test_every_figure_of_a_judgement_is_on_the_page(seed: int, others: set[str], segments: set[str]) -> None:
    arms = (OURS, *(arm for arm in ARMS if arm in others))
    here = (ALL, *(segment for segment in SEGMENTS if segment in segments))
    judged = judgement(seed, arms, here)
    card = model_card(judgement=judged)
    rows = list(rows_of(card))
    for figures, sign in ((judged.figures, ""), (judged.leads, "+")):
        for figure, found in figures.items():
            place = {figure.arm} if figure.segment == ALL else {figure.arm, figure.segment}
            wanted = place | {cell(found.mean, found.low, found.high, sign)}
            assert any(wanted <= set(row) for row in rows), figure
    for segment in here[1:]:
        assert any({segment, OURS, f"{judged.users(segment):,}"} <= set(row) for row in rows)
    for arm, spread in judged.spreads.items():
        assert any({arm, f"{spread.coverage:.4f}", f"{spread.gini:.4f}"} <= set(row) for row in rows)
    text = words(card)
    assert all(f"{arm}: not judged here." in text for arm in ARMS if arm not in arms)
    missing = [segment for segment in SEGMENTS if segment not in here]
    assert not missing or f"Without users, and so without figures: {', '.join(missing)}." in text
    markdown = pages(card)["md"]
    assert all(all(value in markdown for value in row[1:]) for row in rows if row[0] in ("Quality", "By segment"))
    assert [text_of(one) for one in parsed(card).iter("td")] == cells_of(markdown)


def test_the_part_of_a_report_says_what_the_page_says() -> None:
    card = model_card()
    part = part_of_report(card)
    tree = ElementTree.fromstring(f"<div>{part['html']}</div>")
    for tag, titled in (("td", "td"), ("th", "th"), ("h3", "h2"), ("p", "p")):
        page = [text_of(one) for one in parsed(card).iter(titled) if one.get("class") != "fault"]
        assert [text_of(one) for one in tree.iter(tag)] == page
    assert card_part(Known(json.loads(json.dumps(part)))) is not None
    assert [week["as_of"] for week in part["weeks"]] == [week.as_of for week in card.weeks]
    odd = replace(card, curve="</p><script>x</script>\x00")
    assert card_part(Known(part_of_report(odd))) is not None


def test_the_files(tmp_path: Path) -> None:
    assert write_pages(model_card(), tmp_path) == []
    assert {file.name for file in tmp_path.iterdir()} == {
        "model_card.md",
        "model_card.html",
        *(f"{name}.png" for name in PLOTS),
    }
    markdown, html = (Path(tmp_path, f"model_card.{kind}").read_text() for kind in ("md", "html"))
    assert re.findall(r"^!\[.+\]\((.+)\)$", markdown, re.MULTILINE) == [f"{name}.png" for name in PLOTS]
    tree = ElementTree.fromstring(html.removeprefix("<!DOCTYPE html>"))
    images = [image.attrib["src"] for image in tree.iter("img")]
    for name, source in zip(PLOTS, images, strict=True):
        content = base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True)
        assert content == Path(tmp_path, f"{name}.png").read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert content.startswith(b"\x89PNG")
        assert min(width, height) > 300
    fetched = [value for one in tree.iter() for key, value in one.attrib.items() if key in ("src", "href", "srcset")]
    assert fetched == images  # nothing comes from anywhere else
    assert not list(tree.iter("script")) + list(tree.iter("link"))
    assert "url(" not in html
    assert "@import" not in html


def test_the_pages_are_the_same_where_the_code_is_an_archive(tmp_path: Path) -> None:
    """As on a cluster, where templates lie in the zip of `make archive`."""
    write_archive(tmp_path / "packages.zip")
    code = "import json, models; from tests.models.model_card.test_pages import *; assert '.zip' in models.__file__; "
    code += "print(json.dumps(pages(model_card())))"
    path = os.pathsep.join((str(tmp_path / "packages.zip"), str(REPO)))
    made = subprocess.check_output(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, cwd=tmp_path, text=True
    )
    assert json.loads(made) == pages(model_card())


def test_text_lines_of_the_markdown_fit_a_terminal() -> None:
    lines = pages(model_card())["md"].splitlines()
    assert max(len(line) for line in lines if not line.startswith(("|", "!"))) <= 120
    tables = "\n".join(line if line.startswith("|") else "" for line in lines)
    for table in filter(None, re.split(r"\n\n+", tables)):
        bars = [[at for at, one in enumerate(line) if one == "|"] for line in table.strip().splitlines()]
        assert len({tuple(row[:-1]) for row in bars}) == 1  # columns stand below each other


MISSING: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "judgement": ({"judgement": "3 users with something new"}, "Not judged: 3 users with something new.", {"segments"}),
    "curve": ({"curve": "als_spark does not tell"}, "There is none: als_spark does not tell.", {"learning_curve"}),
    "weeks": ({"before": []}, "no version was registered before this one", {"weeks"}),
    "champion": ({"champion": "nothing served before"}, "none to compare with: nothing served before.", set()),
    "shapes": (
        {"shapes": {}, "champion": "nothing served before"},
        "Not known of this version: scores of the judged lists.",
        {"shapes"},
    ),
}


@pytest.mark.parametrize("what", MISSING)
def test_what_is_missing_is_named_and_not_drawn(what: str) -> None:
    changes, said, gone = MISSING[what]
    card = model_card(**changes)
    assert said in words(card)
    assert set(drawn(card)) == set(PLOTS) - gone
    assert words(card).count("not drawn.") == pages(card)["md"].count("not drawn.") == len(set(PLOTS) - gone)
    if what == "champion":
        assert "The champion's golden metrics are not there: nothing served before." in words(card)


def test_a_first_version_that_was_not_judged_is_drawn(tmp_path: Path) -> None:
    now = week(None, model_card().lineage.as_of, None, golden=None)
    shapes = {name: shape for name, shape in model_card().shapes.items() if name != SCORES}
    first = model_card(judgement="no", curve="no", before=[], champion="none", shapes=shapes, now=now)
    assert write_pages(first, tmp_path) == []


def older(made: ModelCard) -> ModelCard:
    """Its weeks and its champion are of code that knew less."""
    weeks = [replace(one, golden=None, k=None, low=None, high=None, users=None) for one in made.before]
    weeks[0] = replace(weeks[0], ndcg=None, popularity=None, interactions=None)
    return replace(made, before=weeks, champion=ChampionPage(weeks[-1], None, {}))


def test_weeks_of_older_code(tmp_path: Path) -> None:
    made = older(model_card())
    text = words(made)
    assert "Not judged: version 0." in text
    assert "Without golden metrics on these data: version 0, version 1" in text
    assert "golden metrics are not there: it was registered before there were any" in text
    assert write_pages(made, tmp_path) == []


def test_golden_metrics_of_other_data_are_not_compared() -> None:
    champion = model_card().champion
    assert isinstance(champion, ChampionPage)
    other = replace(champion, golden=replace(GOLDEN, sha256="ff" * 32))
    assert f"of other data (SHA-256 {'ff' * 32}) and do not compare" in words(model_card(champion=other))
    assert "do not compare" not in words(model_card())


def test_a_version_by_the_champions_recipe_says_so() -> None:
    judged = judgement(3)
    card = model_card(judgement=judged, arm=CHAMPION)
    assert "this version is made by that of the arm champion" in words(card)


HOSTILE = ["a|b", "<script>alert(1)</script>", "&amp;", "`x` *y* [z](w) ~v~ _u_", "line\nbreak", "nul\x00", '"quoted"']


TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}


def hostile(text: str) -> ModelCard:
    card = model_card()
    judged, lineage = card.judgement, card.lineage
    assert isinstance(judged, Judgement)
    changes = {
        "product": text,
        "decision": Decision(winner="challenger", reason=text),
        "inputs": (lineage.inputs[0].model_copy(update={"name": text, "digest": text, "uri": text}),),
        "training": {text: text},
    }
    return replace(
        card,
        lineage=lineage.model_copy(update=changes),
        judgement=replace(judged, remarks={ITEM_KNN: text}),
        curve=text,
        champion=text,
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_breaks_a_page(text: str) -> None:
    card = hostile(text)
    tree = parsed(card)
    assert {one.tag for one in tree.iter()} <= TAGS
    plain = " ".join(text.replace("\x00", "�").split())
    assert any(" ".join("".join(one.itertext()).split()) == plain for one in tree.iter("td"))
    columns = []
    for line in pages(card)["md"].splitlines():
        assert not re.search(r"(?<!\\)[<`*\[~]", line.removeprefix("![")), line
        columns.append(len(re.findall(r"(?<!\\)\|", line)))
    widths = [len(row) for row in tree.iter("tr")]
    assert {count for count in columns if count} == {width + 1 for width in widths}


@pytest.mark.parametrize("start", ["1. a", "- a", "+ a", "# a", "12) a", "=== a", ". a"])
def test_a_line_of_text_does_not_become_a_list_or_a_title(start: str) -> None:
    begun = set()
    for letters in range(12):  # somewhere a line is full just before `start`
        text = f"{'x' * letters} {f'{start} ' * 60}"
        for line in paragraph(text).splitlines():
            assert not re.match(r"(\d+[.)]|[-+=#])", line)
            begun.add(line[: len(start)])
    first, last = re.fullmatch(r"(\d*)(.).*", start).groups()  # type: ignore[union-attr]
    assert any(line.startswith(f"{first}\\{last}") for line in begun)


def test_a_plot_that_fails_is_told_and_the_page_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(plot: Plot) -> bytes:
        if plot.name == "weeks":
            raise PlotFailed("the plot weeks could not be drawn (OSError: no font)")
        return png_of(plot)

    monkeypatch.setattr(write_module, "png_of", fail)
    (fault,) = write_pages(model_card(), tmp_path)
    for kind in ("md", "html"):
        assert fault in Path(tmp_path, f"model_card.{kind}").read_text()
    assert "weeks.png" not in Path(tmp_path, "model_card.md").read_text()
    assert not Path(tmp_path, "weeks.png").exists()


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("FT2Font"), ValueError("no width")])
def test_what_a_drawing_raises_is_a_failed_plot(error: Exception) -> None:
    def draw(_: object) -> None:
        raise error

    with pytest.raises(PlotFailed, match=f"the plot p could not be drawn .{type(error).__name__}: {error}"):
        png_of(Plot("p", "", draw, (2, 2)))


def test_a_long_training_is_drawn() -> None:
    curve = [Point(at, 0.01 * at, 0.3) for at in range(1, 101)]
    (plot,) = [plot for plot in plots_of(model_card(curve=curve)) if plot.name == "learning_curve"]
    assert png_of(plot).startswith(b"\x89PNG")


def test_means_outside_their_interval_are_drawn() -> None:
    """A percentile interval may leave the mean outside."""
    judged = judgement(5)
    figures = {at: replace(found, low=found.high, high=found.high + 0.1) for at, found in judged.figures.items()}
    card = model_card(judgement=replace(judged, figures=figures))
    (plot,) = [plot for plot in plots_of(card) if plot.name == "segments"]
    assert png_of(plot).startswith(b"\x89PNG")
