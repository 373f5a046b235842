"""Writes what a search proposes: the change as YAML, and the evaluation as Markdown for the person who commits it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conf.strict_yaml import write_yaml
from conf.training import TrainSettings
from models.judge import Estimate
from models.pages import MISSING, markdown_of
from models.tuning.evaluation import Evaluation
from models.tuning.search import COMPLETE, FAILED, PRUNED, Trial, best_of

_SHOWN = 5
"""Trials in the table."""


@dataclass(frozen=True)
class ProposalContext:
    """What the report names besides the evaluation: product, study, data and code."""

    product: str
    study: str
    config: str
    """Path of the product's YAML, as typed."""
    facts: Mapping[str, str]
    """Name → value of what identifies study, data and code."""
    looks: int
    """How often the hold-out has been judged, this time included."""
    k: int


def overlay_of(evaluation: Evaluation, about: ProposalContext) -> str:
    """Returns the change as YAML for `--overlay`: only keys that differ, none if the present settings stay."""
    changes = evaluation.changes if evaluation.is_better else {}
    head = (
        f"# {about.product}, study {about.study}: {_verdict(evaluation)}; the evidence is beside it in proposal.md.\n"
    )
    return head + write_yaml({"train": changes})


def report_of(evaluation: Evaluation, trials: Sequence[Trial], present: TrainSettings, about: ProposalContext) -> str:
    """Returns the evaluation as a page of Markdown."""
    counts = Counter(trial.state for trial in trials)
    judged = (trial for trial in trials if trial.ndcg is not None)
    return markdown_of(
        "tuning/proposal.j2",
        about=about,
        evaluation=evaluation,
        estimate=_estimate,
        verdict=_verdict(evaluation),
        present=present.model_dump(),
        trials=trials,
        states=[f"{counts[state]} {state}" for state in (COMPLETE, PRUNED, FAILED)],
        best=sorted(judged, key=lambda trial: -(trial.ndcg or 0.0))[:_SHOWN],
        names=list(best_of(trials).params),
    )


def _verdict(evaluation: Evaluation) -> str:
    return "a change of `train` is proposed" if evaluation.is_better else "keep the present settings"


def _estimate(found: Estimate | None, sign: str = "") -> str:
    return MISSING if found is None else f"{found.mean:{sign}.4f} [{found.low:{sign}.4f}, {found.high:{sign}.4f}]"
