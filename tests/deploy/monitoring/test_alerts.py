"""Each alert fires, stays quiet, and does as said where its series are missing; no rule names what there is not."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from deploy.monitoring.alerts import read_alerts
from deploy.monitoring.promtool import Moment, differences
from jobs.cli.app import COMMANDS, imported
from jobs.export.metrics import ALL
from tests.deploy.monitoring.cases import ALERTS, CASES, KINDS, LONG, LONG_STEP
from tests.deploy.monitoring.healthy import HEALTHY, LAST, name_of
from tests.deploy.monitoring.mutants import mutants, survivors
from tests.support.tools import tool

ROOT = Path(__file__).parents[3]
READ = {alert.name: alert for alert in read_alerts()}
NAMES = {name: metric for metric in ALL for name in metric.names}
PARTS = ("Meaning", "Check", "Mend", "Verify")

alerts = pytest.mark.parametrize("name", READ)


def test_all_alerts_have_their_severity_and_a_name_of_their_own() -> None:
    assert {name: alert.severity for name, alert in READ.items()} == {
        name: said.severity for name, said in ALERTS.items()
    }
    assert len(read_alerts()) == len(READ)


@alerts
def test_each_alert_has_cases_of_every_kind(name: str) -> None:
    own = [case for case in CASES if case.alert == name]
    assert {case.kind for case in own} == set(KINDS)
    assert all(case.fires for case in own if case.kind == "fires")
    assert not any(case.fires for case in own if case.kind == "stays quiet")
    removed = {name_of(series) for case in own if case.kind == "series missing" for series in case.changes}
    assert removed & set(metrics_of(READ[name].expr))


def test_each_alert_fires_when_it_should_and_no_other_one_does() -> None:
    histories = [case.history() for case in CASES if case.fires]
    assert len({history.name for history in histories}) == len(histories)
    found = differences(tool("promtool"), read_alerts(), histories)
    assert not found, "\n".join(one.told for one in found)


@alerts
def test_each_alert_is_quiet_when_it_should_be(name: str) -> None:
    histories = [case.history(alone=True) for case in CASES if case.alert == name and not case.fires]
    found = differences(tool("promtool"), [READ[name]], histories)
    if name in LONG:
        found += differences(tool("promtool"), [READ[name]], [LONG[name]], step=LONG_STEP)
    assert not found, "\n".join(one.told for one in found)


def test_mistakes_in_the_rules_are_noticed() -> None:
    tried, left = 0, []
    for name, alert in READ.items():
        own = mutants(alert)
        found = survivors(tool("promtool"), own, [case.history(alone=True) for case in CASES if case.alert == name])
        if found and name in LONG:
            found = survivors(tool("promtool"), found, [LONG[name]], step=LONG_STEP)
        tried += len(own)
        left += [f"{name}: {mutant.mistake}" for mutant in found]
    print(f"{tried - len(left)} of {tried} mistakes are noticed; not:", *left, sep="\n")
    assert tried > 300
    assert len(left) <= 0.01 * tried, left


def metrics_of(expr: str) -> Iterator[str]:
    yield from re.findall(r"\bdiscovery_\w+", expr)


@alerts
def test_rules_name_only_metrics_and_labels_that_there_are(name: str) -> None:
    expr = READ[name].expr
    for metric, matchers in re.findall(r"\b(discovery_\w+)(?:\{([^}]*)\})?", expr):
        assert metric in NAMES
        for label, _, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
            assert set(value.split("|")) <= set(NAMES[metric].labels[label])
    grouped = {label for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr) for label in labels.split(", ")}
    ends = {"le"} if "_bucket" in expr else set()
    for metric in metrics_of(expr):
        ends |= set(NAMES[metric].label_names)
    assert grouped <= ends
    for text in READ[name].annotations.values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= ends


def test_what_is_healthy_has_only_metrics_and_labels_that_there_are() -> None:
    for series in HEALTHY:
        metric = NAMES[name_of(series)]
        for label, value in re.findall(r'(\w+)="([^"]*)"', series):
            if label not in ("le", "instance"):
                assert value in metric.labels[label], series
    named = {metric for alert in READ.values() for metric in metrics_of(alert.expr)}
    assert named - {name_of(series) for series in HEALTHY} == {"discovery_run_push_touched_timestamp_seconds"}


def sections() -> dict[str, str]:
    """Anchor → text of each section of the runbook."""
    text = (ROOT / "docs/runbook.md").read_text()
    found = (section.partition("\n") for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:])
    return {title.lower().replace(" ", "-"): body for title, _, body in found}


@alerts
def test_each_alert_says_what_to_do(name: str) -> None:
    told = READ[name].annotations
    assert set(told) == {"summary", "description", "runbook_url"}
    page, _, anchor = told["runbook_url"].partition("#")
    assert (page, anchor) == ("docs/runbook.md", name.lower())
    assert re.findall(r"^- \*\*(\w+)\.\*\* \S", sections()[anchor], re.MULTILINE) == list(PARTS)
    assert sections()[anchor].startswith(f"- **Meaning.** {READ[name].severity.capitalize()}")


def test_no_section_is_left_of_an_alert_that_is_gone() -> None:
    assert list(sections()) == [name.lower() for name in ALERTS]


def test_every_command_of_the_runbook_is_one() -> None:
    typed = set(re.findall(r"`discovery ([^`]+)`", (ROOT / "docs/runbook.md").read_text()))
    assert len(typed) > 30
    for words in map(str.split, typed):
        if words[0] not in COMMANDS:
            pytest.fail(f"discovery {' '.join(words)}: there is no such command")
        check_words(imported(words[0]), words[1:])


def check_words(command: click.Command, words: list[str]) -> None:
    group = getattr(command, "commands", None)
    if group is not None:
        assert words, command.name
        assert words[0] in group, words
        check_words(group[words[0]], words[1:])
        return
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, (command.name, words, known)


@alerts
def test_annotations_are_rendered(name: str) -> None:
    """Nothing in them names a label that the alert does not have, or a function that there is not."""
    case = next(case for case in CASES if case.alert == name and case.fires and not case.is_over)
    wrong = replace(case.history(alone=True), moments=[Moment(LAST, {name: [{"product": "nobody"}]})])
    (found,) = differences(tool("promtool"), [READ[name]], [wrong], annotated=True)
    told = found.told.partition("got:")[2]
    assert 'summary="' in told
    assert not re.search(r"error (parsing|executing|expanding)|<no value>|%!|(in|of)  ", told), told


def test_the_documentation_names_all_that_page() -> None:
    (said,) = re.findall(r"^- \*\*critical\*\*.*$", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE)
    pages = {name for name, alert in READ.items() if alert.severity == "critical"}
    assert {f"Discovery{name}" for name in re.findall(r"\[(\w+)\]\(runbook", said)} == pages
