"""The report of a run: what became of it, what is not known of it, and that no text in it is more than text."""

import copy
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.pages.report import Known, digest_in, report_page
from jobs.pages.report.page import LARGEST, Page
from jobs.pages.templates import templates
from tests.jobs.pages.report.documents import (
    BEFORE,
    DIGEST,
    RUN,
    card,
    documents,
    expectation,
    gate,
    gates,
    manifest,
)
from tests.support.hostile import HOSTILE

SERVED = documents()


def parsed(page: str) -> ElementTree.Element:
    """The page read as XML; it fetches nothing and runs nothing."""
    tree = ElementTree.fromstring(page.replace("<!DOCTYPE html>", ""))
    names = {part.tag for part in tree.iter()}
    assert names.isdisjoint({"script", "img", "link", "iframe", "object", "form", "base"})
    for part in tree.iter():
        assert not [name for name in part.attrib if name.startswith("on") or name in ("src", "style", "srcdoc")]
        assert part.attrib.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import", page)
    assert len(page.encode()) <= LARGEST
    return tree


def text_of(page: str) -> str:
    body = parsed(page).find("body")
    assert body is not None
    return " ".join(" ".join(body.itertext()).split())


def stopped(*stages: str, failure: str, **gates_of_it: Any) -> Any:
    """A run that ended after these stages."""
    tree = manifest()
    tree |= {"failure": failure, "stages": {name: tree["stages"][name] for name in stages}}
    return documents(manifest=tree, gates=gates_of_it, card=None)


def test_a_run_of_ten_million_users_that_serves() -> None:
    page = report_page(SERVED)
    text = text_of(page)
    assert text.startswith(f"groups · run {RUN} · as of 2026-11-16 Went live for 25 % of the audience")
    for said in (
        "NDCG@20 0.1812 (0.1772 to 0.1852)",
        "+0.0110 against the recipe that served",
        "3.00 times that of popular sources",
        "10,000,000 computed → 10,000,000 produced → 10,000,000 loaded → 10,000,000 readable",
        "2026-11-06 to 2026-11-15 10 of 10 days, and 2 before for judging",
        "the newest, 2026-11-15",
        "91,000,000 rows (±0.0 %)",
        "2 h 34 min in all stages, peak memory 60 GiB",
        "712,000 of 978,000 eligible ones",
        "10,000,000, of which 9,120,000 personal ones; 1,000 popular sources for everybody else",
        "the scheduler: scheduled__2026-11-16",
        "train.factors recipe Before 32 Now 64",
        "numpy Before 2.4.5 Now 2.4.6",
        f"Run {BEFORE} , as of 2026-11-09, served when this one began.",
        "What it is text",
    ):
        assert said.replace(" ,", ",") in text.replace(" ,", ","), said
    assert "nan" not in page
    assert digest_in(page.encode()) == DIGEST


def test_the_same_run_is_the_same_page() -> None:
    assert report_page(documents()) == report_page(documents())


def test_a_gate_that_stopped_it_says_so_first() -> None:
    row = expectation("max_change_of_sources", observed="41 % (rows)", allowed="at most 20 %", passed=False)
    failed = gate("inputs", expectation("max_change_of_blocks"), row, passed=False)
    text = text_of(report_page(stopped(failure="GateFailed: gate inputs: 1 of 2", inputs=failed)))
    first = text[: text.index("What was read")]
    assert "Stopped by gate inputs: max_change_of_sources is 41 % (rows), allowed: at most 20 %" in first
    assert 'start a new run with --override max_change_of_sources="…"' in first
    assert "what serves goes on to serve" in first
    for said in (
        "Nothing is recorded: the run ended before its inputs were counted.",
        "failed inputs",
        "1 failed, 1 held",
        "not reached interactions",
        "Not judged: the run ended before its training was judged.",
        "computed not known",
        "features ended with the error above",
        "Not here: the run ended before there was a model.",
    ):
        assert said in text, said


def test_what_else_may_have_ended_it() -> None:
    told = text_of(report_page(stopped("features", failure="NoCandidates: no source\nis eligible")))
    assert "Stopped in stage train: no source" in told
    assert "The whole message NoCandidates: no source is eligible" in told
    assert f"--run-id {RUN}" in told
    assert "interrupted it" in text_of(report_page(stopped("features", "train", failure="KeyboardInterrupt: ")))


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (4, "Published for 25 % of the audience, and not known to serve yet"),
        (2, "Unfinished: stage topn has not ended yet"),
        (0, "Unfinished: stage features has not ended yet"),
    ],
)
def test_a_run_that_goes_on(known: int, said: str) -> None:
    tree = manifest()
    tree["stages"] = dict([*tree["stages"].items()][:known])
    assert said in text_of(report_page(documents(manifest=tree)))


def test_a_control_and_its_treatment() -> None:
    part = {"experiment": "better", "role": "control", "control": "pinned", "opened": "2026-11-02T00:00:00Z"}
    control = text_of(report_page(documents(manifest=manifest() | {"experiment": part})))
    assert "Complete: it serves the control arm beside its treatment" in control
    assert "the control (pinned) of experiment better" in control
    part |= {"role": "treatment", "control_run": f"{RUN}-control"}
    treatment = text_of(report_page(documents(manifest=manifest() | {"experiment": part})))
    assert f"the treatment of experiment better; control: pinned, run {RUN}-control" in treatment


def test_overrides_with_their_reasons_and_lists_that_are_lost() -> None:
    row = expectation("min_rows", passed=False, overridden="the app is new")
    tree = manifest()
    tree["request"]["overrides"] = {"min_rows": "the app is new"}
    tree["stages"]["serve"]["facts"]["counts"]["readable"] -= 5
    found = gates() | {"interactions": gate("interactions", row)}
    found["lists"]["unused_overrides"] = {"no_nulls": "just in case"}
    page = report_page(documents(manifest=tree, gates=found))
    text = text_of(page)
    assert "passed, 1 override interactions" in text
    assert "min_rows overridden observed 7 allowed at most 9 the app is new" in text
    assert "Overrides that nothing needed: no_nulls (just in case)" in text
    assert "5 lists were computed and cannot be read." in text
    assert 'class="top warning"' in page


def test_missing_days_and_what_was_left_out() -> None:
    tree = manifest()
    record = tree["stages"]["features"]["facts"]["inputs"][0]
    lost = [record["days"].pop(4)["day"], record["days"].pop(4)["day"]]
    record |= {"missing": lost, "excluded": {"2026-11-12": "half is lost, anna"}}
    record["days"][0] |= {"ignored": 3, "dropped": {"no user": 7}}
    page = report_page(documents(manifest=tree))
    assert f"2 days missing: {lost[0]} to {lost[1]}" in text_of(page)
    assert "2026-11-12 left out: half is lost, anna" in text_of(page)
    assert "dropped: 7 rows, no user" in text_of(page)
    assert "3 rows of ignored events left out" in text_of(page)
    assert 'class="lost"' in page


def test_the_weeks_before_are_a_curve() -> None:
    page = report_page(SERVED)
    (curve,) = (part for part in parsed(page).iter("svg") if part.attrib["class"] == "plot")
    assert len([part for part in curve.iter("circle") if part.attrib["class"] == "d ours"]) == 8
    titles = [title.text for title in curve.iter("title")]
    assert "this product's lists, 2026-11-16: 0.1800 (0.1700 to 0.1900)" in titles
    once = card() | {"weeks": card()["weeks"][:1]}
    assert "there is no week to draw a curve from" in text_of(report_page(documents(card=once)))


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({"serving_before": None}, "Nothing served before this run."),
        ({}, f"Run {BEFORE} cannot be compared: its folder is gone, or cannot be read."),
    ],
)
def test_a_run_before_that_is_not_there(before: dict[str, Any], said: str) -> None:
    assert said in text_of(report_page(documents(manifest=manifest() | before, before=None, lists_before=None)))


def test_a_card_that_is_more_than_text_is_not_shown() -> None:
    for html in ("<p onclick='x'>a</p>", "<script>a</script>", "<p>a", 7, '<p class="a">&lt;</p><style>*{}</style>'):
        text = text_of(report_page(documents(card={"html": html})))
        assert "Not here: what was kept of it is no text with tables." in text


def test_a_page_that_would_be_too_large_goes_without_the_card() -> None:
    large = card() | {"html": "<p>long</p>" * 30_000}
    assert "it would make this page too large" in text_of(report_page(documents(card=large)))


def test_every_drawing_has_a_name_and_every_table_says_what_its_heads_are_of() -> None:
    tree = parsed(report_page(SERVED))
    drawn = [part for part in tree.iter("svg") if "aria-hidden" not in part.attrib]
    assert len(drawn) > 10
    for part in drawn:
        assert part.attrib["role"] == "img"
        title = part.find("title")
        assert title is not None
        assert title.text == part.attrib["aria-label"]
    assert all(part.attrib["scope"] in ("col", "row") for part in tree.iter("th"))
    anchors = {part.attrib["href"][1:] for part in tree.iter("a")}
    assert anchors <= {part.attrib.get("id") for part in tree.iter()}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name: str) -> None:
    row = expectation(name, observed=name, allowed=name, passed=False, overridden=name)
    tree: Any = replaced(manifest(), name)
    page = report_page(
        documents(manifest=tree, before=replaced(manifest(1), name), gates={"inputs": gate("inputs", row)})
    )
    shown = re.sub("[\x00-\x08]", "\N{REPLACEMENT CHARACTER}", name)
    assert " ".join(shown.split()) in text_of(page)


def replaced(value: Any, name: str) -> Any:
    """The same document with a name for each text that is no day, time or address, and for each key of a dataset."""
    if isinstance(value, dict):
        return {("clicks" if key == "clicks" else key): replaced(one, name) for key, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, name) for one in value]
    return name if isinstance(value, str) and not re.match(r"\d{4}-", value) else value


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, by its keys."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in entries:
        yield (*at, key)
        yield from places(one, (*at, key))


WHOLE = {"manifest": manifest(), "gates": gates(), "card": card(), "before": manifest(week=1)}
PLACES = [place for place in places(WHOLE) if len(place) > 1]
ODD = st.sampled_from(
    [None, [], {}, "", "odd", "9999-12-31", -1, 0, 1e308, float("nan"), 10**400, True, [None], {"a": []}]
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.none() | ODD.map(lambda odd: (odd,))), min_size=1, max_size=6))
def test_whatever_is_missing_or_odd_there_is_a_page(changes: list[tuple[tuple[Any, ...], tuple[Any] | None]]) -> None:
    whole = copy.deepcopy(WHOLE)
    for (*way, last), change in changes:
        at: Any = whole
        try:
            for key in way:
                at = at[key]
            if change is None:
                del at[last]
            else:
                at[last] = change[0]
        except (KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
    text_of(report_page(documents(**whole)))


@pytest.mark.parametrize("tree", [{}, {"stages": {}}, {"stages": None, "request": []}, {"failure": 7}])
def test_a_manifest_that_says_nothing(tree: Any) -> None:
    text = text_of(report_page(documents(manifest=tree, gates={}, card=None, before=None, lists_before=None)))
    assert "Unfinished: stage features has not ended yet" in text


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(dark: bool) -> None:
    page = report_page(SERVED)
    light, night = {}, {}
    for block in re.findall(r"(@media screen and \(prefers-color-scheme: dark\) \{ )?:root \{([^}]+)\}", page):
        (night if block[0] else light).update(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block[1]))
    colours = light | (night if dark else {})
    text_on = [(text, ground) for text in ("ink", "soft", "bad") for ground in ("back", "card", "code")]
    text_on += [("bad", "bad-back"), ("warn", "warn-back"), ("good", "good-back")]
    for text, ground in text_on:
        one, two = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (one + 0.05) / (two + 0.05) >= 4.5, (text, ground, dark)
    for line in ("line", "second", "third", "fourth", "good", "bad"):  # drawings: WCAG asks for 3
        one, two = sorted((luminance(colours[line]), luminance(colours["card"])), reverse=True)
        assert (one + 0.05) / (two + 0.05) >= 3, (line, dark)


def test_nothing_is_known_of_an_odd_value() -> None:
    assert [Known(value).number for value in (True, "1", None, float("nan"), float("inf"), 10**400)] == [None] * 6
    assert [Known(value).count for value in (2.0, 2.5, -1)] == [2, 2, -1]
    assert Known("2026-13-01").day is None
    assert Known("x" * 1000).text == "x" * 400 + "…"
    assert not Known({"a": 1}).at("a", "b")


def test_a_report_is_made_of_no_more_than_its_template_says() -> None:
    assert templates().get_template("report.html.j2")
    assert Page(SERVED).headline == "Went live for 25 % of the audience"
