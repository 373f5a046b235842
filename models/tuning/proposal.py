"""Writes what a search proposes: the change as YAML, and the evidence as Markdown for the person who commits it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conf.settings import TrainSettings
from conf.strict_yaml import write_yaml
from models.judge import Estimate
from models.tuning.evidence import Evidence, SettingsComparison
from models.tuning.search import COMPLETE, FAILED, PRUNED, Trial, best_of

_SHOWN = 5
"""Trials in the table."""


@dataclass(frozen=True)
class ProposalContext:
    """What the report names besides the evidence: product, study, data and code."""

    product: str
    study: str
    config: str
    """Path of the product's YAML, as typed."""
    facts: Mapping[str, str]
    """Name → value of what identifies study, data and code."""
    looks: int
    """How often the hold-out has been judged, this time included."""
    k: int


def overlay_of(evidence: Evidence, about: ProposalContext) -> str:
    """Returns the change as YAML for `--overlay`: only keys that differ, none if the present settings stay."""
    changes = evidence.changes if evidence.is_better else {}
    head = f"# {about.product}, study {about.study}: {_verdict(evidence)}; the evidence is beside it in proposal.md.\n"
    return head + write_yaml({"train": changes})


def report_of(evidence: Evidence, trials: Sequence[Trial], present: TrainSettings, about: ProposalContext) -> str:
    """Returns the evidence as a page of Markdown."""
    counts = Counter(trial.state for trial in trials)
    ran = ", ".join(f"{counts[state]} {state}" for state in (COMPLETE, PRUNED, FAILED))
    parts = [
        f"# {about.product}: {_verdict(evidence)}",
        _to_do(evidence, about),
        f"## Evidence\nMean NDCG@{about.k} of the lists that users would get, with 95 % bootstrap intervals; the "
        "difference is paired by user. Trials were chosen by the validation days, which end where the hold-out begins; "
        "the best of many looks better there than it is. "
        f"The hold-out chose nothing; this is look {about.looks} at it.",
        _comparisons(evidence),
        f"## Trials\n{len(trials)} trials: {ran}. The best by validation:",
        _table(trials),
        *(() if not evidence.changes else ("## Change\n" + _changes(evidence, present),)),
        "## What this was made of\n" + "\n".join(f"- {name}: {fact}" for name, fact in about.facts.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(evidence: Evidence) -> str:
    return "a change of `train` is proposed" if evidence.is_better else "keep the present settings"


def _to_do(evidence: Evidence, about: ProposalContext) -> str:
    if evidence.is_better:
        return (
            f"Review it, put the keys of `proposal.yml` under `train:` of `{about.config}`, and commit that with this "
            "page; `--overlay proposal.yml` tries it first. Nothing was changed by the search."
        )
    if not evidence.changes:
        return "No trial was better than the present settings on the validation days; there is nothing to commit."
    lead = evidence.holdout.lead
    shown = "" if lead is None else f" ({_signed(lead)}, which is not above 0)"
    return (
        f"The best trial is not better than the present settings beyond noise on the hold-out{shown}; there is "
        "nothing to commit. More days of hold-out (`split.holdout_days`) or more users narrow the interval."
    )


def _comparisons(evidence: Evidence) -> str:
    lines = ["| | validation | hold-out |", "| --- | --- | --- |"]
    both = (evidence.validation, evidence.holdout)
    lines.append(f"| judged users | {both[0].users:,} | {both[1].users:,} |")
    for name, of in (("popularity", "popularity"), ("present settings", "present"), ("proposed settings", "proposed")):
        lines.append(f"| {name} | {' | '.join(_plain(getattr(one, of)) for one in both)} |")
    lines.append(f"| proposed − present | {' | '.join(_lead(one) for one in both)} |")
    return "\n".join(lines)


def _lead(found: SettingsComparison) -> str:
    if found.lead is None:
        return "–"
    share = f" ({found.lead.mean / found.present.mean:+.1%})" if found.present.mean else ""
    return _signed(found.lead) + share


def _plain(found: Estimate | None) -> str:
    return "–" if found is None else f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _signed(found: Estimate) -> str:
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _table(trials: Sequence[Trial]) -> str:
    best = sorted((trial for trial in trials if trial.ndcg is not None), key=lambda trial: -(trial.ndcg or 0.0))
    names = list(best_of(trials).params)
    lines = [f"| trial | NDCG | recall | {' | '.join(names)} |", "| --- " * (len(names) + 3) + "|"]
    for trial in best[:_SHOWN]:
        values = " | ".join(f"{trial.params[name]:.3g}" for name in names)
        name = f"{trial.number} (present)" if trial.number == 1 else str(trial.number)
        lines.append(f"| {name} | {trial.ndcg:.4f} | {trial.recall:.4f} | {values} |")
    return "\n".join(lines)


def _changes(evidence: Evidence, present: TrainSettings) -> str:
    rows = [f"| `train.{name}` | {getattr(present, name)} | {value} |" for name, value in evidence.changes.items()]
    return "\n".join([f"Trial {evidence.trial}, rounded:\n", "| | present | tried |", "| --- | --- | --- |", *rows])
