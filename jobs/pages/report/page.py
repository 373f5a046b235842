"""The report as a page: what became of the run, then a section for each thing that one asks of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup
from pydantic import ValidationError

from expectations.drift.checks import sentence
from expectations.stopped import Stopped, stopped_by
from jobs.pages.drift import Page as DriftPage
from jobs.pages.drift import Row
from jobs.pages.plots import spark
from jobs.pages.report import words
from jobs.pages.report.card import card_part
from jobs.pages.report.changes import Changes, changes_of
from jobs.pages.report.cost import Cost, cost_of, short
from jobs.pages.report.documents import RunDocuments
from jobs.pages.report.gates import Gate, gates_of
from jobs.pages.report.inputs import Dataset, datasets_of
from jobs.pages.report.published import Published, published_of
from jobs.pages.report.quality import Quality, quality_of
from jobs.pages.templates import templates
from jobs.storage.drift import Decisions
from jobs.storage.gate_reports import DRIFT_GATES
from jobs.storage.stage_names import STAGES

LARGEST = 300_000
"""Bytes of a page; one that would be larger goes without the model card, which is a page of its own too."""
_DIGEST = re.compile(rb'<meta name="discovery-manifest" content="([0-9a-f]{64})"/>')
_MOST_ALARMS = 12


@dataclass(frozen=True)
class Page:
    """All that the page says."""

    run: RunDocuments
    with_card: bool = True

    @cached_property
    def stopped(self) -> Stopped | None:
        """Which expectation stopped the run and how to go on; None if no gate did."""
        report = self.run.stopped_by
        if report is None or any(not finding.days for finding in getattr(report.profile, "findings", ())):
            return None
        return stopped_by(report)

    @property
    def failure(self) -> tuple[str, str] | None:
        """The error that ended the last attempt: its first line, and all of it; None if nothing did."""
        text = self.run.manifest.at("failure").value
        if not isinstance(text, str):
            return None
        kind, _, message = text[:4000].partition(": ")
        first = next(iter((message or kind).strip().splitlines()), kind)
        return ("somebody, or the machine, interrupted it" if kind == "KeyboardInterrupt" else first[:400]), text[:4000]

    @property
    def unfinished(self) -> str | None:
        """The first stage that has not finished."""
        return next((stage for stage in STAGES if not self.run.manifest.at("stages", stage)), None)

    @property
    def headline(self) -> str:
        """What became of the run."""
        if self.stopped is not None and self.run.stopped_by is not None:
            return f"Stopped by gate {self.run.stopped_by.gate}: {self.stopped.cause}"
        if self.failure is not None:
            return f"Stopped in stage {self.unfinished or STAGES[-1]}: {self.failure[0]}"
        share = self.published.share or "its share"
        if self.unfinished is None:
            control = "Complete: it serves the control arm beside its treatment"
            return control if self.is_control else f"Went live for {share} of the audience"
        if self.unfinished == STAGES[-1]:
            return f"Published for {share} of the audience, and not known to serve yet"
        return f"Unfinished: stage {self.unfinished} has not ended yet"

    @property
    def tone(self) -> str:
        """Class of the page's styles for the run as a whole."""
        if self.failure is not None:
            return "stops"
        lifted = any(gate.overridden for gate in self.gates)
        return "warning" if self.unfinished or lifted or self.drift.alarms or self.published.lost else "ok"

    @property
    def is_control(self) -> bool:
        """Whether the run is the control of an experiment."""
        return self.run.manifest.at("experiment", "role").text == "control"

    @property
    def started(self) -> str:
        """When and by whom it was started."""
        by = self.run.manifest.at("started_by").text or "unknown"
        how = "the scheduler" if self.run.manifest.at("request", "trigger_id") else "by hand"
        return f"{words.moment(self.run.manifest.at('created_at').moment)}, {how}: {by}"

    @property
    def flags(self) -> str:
        """The flags with which it was asked for, but for its overrides."""
        request = self.run.manifest.at("request")
        names = [name for name, value in request.items() if value.value is True]
        return ", ".join(f"--{name.replace('_', '-')}" for name in names) or "none"

    @property
    def overrides(self) -> Sequence[tuple[str, str]]:
        """What was asked to be overridden, and the reasons."""
        return [(name, why.text or "") for name, why in self.run.manifest.at("request", "overrides").items()]

    @cached_property
    def datasets(self) -> list[Dataset]:
        """What was read."""
        return datasets_of(self.run)

    @cached_property
    def tables(self) -> list[tuple[str, str]]:
        """What was made of it: tables and their rows."""
        rows = [*self.run.fact("features", "rows").items(), *self.run.fact("topn", "rows").items()]
        return [(name, words.number(count.number)) for name, count in rows][:20]

    @cached_property
    def gates(self) -> list[Gate]:
        """The gates."""
        return gates_of(self.run)

    @cached_property
    def drift(self) -> DriftPage:
        """What the drift gates found."""
        reports = [report for report in self.run.judged_gates.values() if report.gate in DRIFT_GATES]
        return DriftPage(self.run.product, reports, Decisions())

    @property
    def alarms(self) -> list[tuple[Row, str, Markup]]:
        """What deviates, the worst first, as sentences with their history."""
        shown = [row for row in self.drift.alarms if row.finding.days][:_MOST_ALARMS]
        return [(row, sentence(row.finding), spark(row.finding)) for row in shown]

    @property
    def decisions(self) -> Decisions:
        """What operators had decided when the run read its inputs."""
        facts = self.run.fact("features", "drift").mapping()
        try:
            return Decisions(accepted=facts.get("accepted", ()), excluded=facts.get("excluded", ()))
        except ValidationError:
            return Decisions()

    @cached_property
    def quality(self) -> Quality:
        """How good its lists are."""
        return quality_of(self.run)

    @cached_property
    def published(self) -> Published:
        """What it published."""
        return published_of(self.run)

    @cached_property
    def cost(self) -> Cost:
        """What it took."""
        return cost_of(self.run)

    @cached_property
    def changes(self) -> Changes:
        """What changed."""
        return changes_of(self.run)

    @property
    def model(self) -> Sequence[tuple[str, str]]:
        """What is known of its model version, and how it was trained."""
        model, training = self.run.fact("train", "model"), self.run.fact("train", "training")
        started = training.at("started").text
        of = f", from run {training.at('from_run').text}" if training.at("from_run").text else ""
        parts = {
            "Version": model.at("version").text,
            "MLflow run": model.at("mlflow_run").text,
            "Training": None if started is None else f"{training.at('algorithm').text or 'unknown'}, {started}{of}",
        }
        for name in ("iterations", "users", "sources"):
            if (found := training.at(name).number) is not None:
                parts[name.capitalize()] = words.number(found)
        return [(name, text) for name, text in parts.items() if text is not None]

    @cached_property
    def card(self) -> Markup | None:
        """The part that the model card is."""
        return card_part(self.run.card) if self.with_card else None

    @property
    def card_lacking(self) -> str:
        """Why there is no part."""
        if not self.with_card:
            return "it would make this page too large: discovery model card fetches its own page"
        if not self.run.manifest.at("stages", "train"):
            return "the run ended before there was a model"
        if self.run.card:
            return "what was kept of it is no text with tables"
        return "none was kept for this report: the code of the run is older, or nothing was trained"

    @property
    def code(self) -> str:
        """The code that began the run."""
        return short(self.run.manifest.at("code_version").text)

    @property
    def libraries(self) -> list[tuple[str, str]]:
        """Libraries and their versions."""
        return [(name, version.text or "") for name, version in self.run.manifest.at("libraries").items()][:40]


def report_page(run: RunDocuments) -> str:
    """Returns the page of a run: of the same documents the same page, whenever it is made."""
    page = _rendered(Page(run))
    return page if len(page.encode()) <= LARGEST else _rendered(Page(run, with_card=False))


def digest_in(page: bytes) -> str | None:
    """Returns the digest of the manifest that a page was made of; None if it is no such page."""
    found = _DIGEST.search(page[:2000])
    return None if found is None else found[1].decode()


def _rendered(page: Page) -> str:
    return _PAGES.get_template("report.html.j2").render(page=page, run=page.run).strip() + "\n"


_PAGES = templates(
    **{name: getattr(words, name) for name in ("number", "size", "estimate", "within")},
)
