"""Judges the winner of a study on the hold-out, and writes the proposal for the person who commits it."""

import json
from collections.abc import Iterator

from conf.digest import digest_of_inputs
from conf.load import config_hash
from jobs.runtime.log import log_step
from jobs.runtime.versions import code_version
from jobs.tuning.features import load_part
from jobs.tuning.parts import HOLDOUT
from jobs.tuning.study import Study
from jobs.tuning.trials import parent_of
from models.judge import Estimate
from models.tuning import Evaluation, Part, ProposalContext, Trial, best_of, changes_of, compare, overlay_of, report_of

EVIDENCE, OVERLAY, REPORT = "evidence.json", "proposal.yml", "proposal.md"


def propose(study: Study, trials: list[Trial], validation: Part) -> None:
    """Writes the proposal into the study's folder and to MLflow; the hold-out is judged once per winner."""
    looks, best = _looks(study), best_of(trials)
    if not looks or looks[-1].trial != best.number:
        looks.append(_look(study, best, validation))
        content = json.dumps([look.model_dump(mode="json") for look in looks], indent=1)
        study.folder.write_bytes(EVIDENCE, content.encode())
    context = ProposalContext(
        product=study.settings.product,
        study=study.record.name,
        config=str(study.arguments.config),
        facts=dict(_facts(study)),
        looks=len(looks),
        k=validation.k,
    )
    report, overlay = report_of(looks[-1], trials, study.settings.train, context), overlay_of(looks[-1], context)
    _write(study, report, overlay)
    study.mlflow.close_study(parent_of(study), _metrics(looks[-1], trials), study.scratch / "proposal")
    where = study.folder.child(REPORT).uri
    if looks[-1].is_better:
        log_step("tune", f"proposed, for you to review and commit: {looks[-1].changes}; evaluation: {where}")
    else:
        log_step(
            "tune", f"keep the present settings: nothing is better beyond noise on the hold-out; evaluation: {where}"
        )


def _look(study: Study, best: Trial, validation: Part) -> Evaluation:
    settings = study.settings
    changes = changes_of(best.params, settings.train)
    log_step("tune", f"looking at trial {best.number} and the present settings on the hold-out")
    return Evaluation(
        trial=best.number,
        changes=changes,
        validation=compare(validation, settings.train, changes, settings.judge),
        holdout=compare(load_part(study, HOLDOUT), settings.train, changes, settings.judge),
    )


def _looks(study: Study) -> list[Evaluation]:
    """Returns the winners that were judged on the hold-out before, oldest first."""
    if not study.folder.exists(EVIDENCE):
        return []
    return [Evaluation.model_validate(look) for look in json.loads(study.folder.read_bytes(EVIDENCE))]


def _write(study: Study, report: str, overlay: str) -> None:
    artifacts = study.scratch / "proposal"
    artifacts.mkdir()
    for name, text in ((OVERLAY, overlay), (REPORT, report)):
        study.folder.write_bytes(name, text.encode())
        (artifacts / name).write_text(text, encoding="utf-8")


def _facts(study: Study) -> Iterator[tuple[str, str]]:
    record = study.record
    yield "study", f"{record.name} ({record.study_id}), begun {record.created_at:%Y-%m-%d %H:%M} UTC"
    yield "MLflow run", parent_of(study)
    yield "as of", str(study.arguments.as_of)
    yield "settings", f"hash {config_hash(study.settings)}"
    yield (
        "code",
        record.code_version
        if record.code_version == code_version()
        else (f"begun with {record.code_version}, ended with {code_version()}"),
    )
    yield "libraries", ", ".join(f"{name} {version}" for name, version in record.libraries.items())
    yield "seeds", f"train.seed {study.settings.train.seed}, judge.seed {study.settings.judge.seed}"
    yield "judged users", f"at most {study.arguments.judged_users:,}, drawn by judge.seed"
    yield "erased users left out", f"{len(study.erased.users):,}"
    for part, datasets in record.basis["data"].items():
        for name, days in datasets.items():
            digest = digest_of_inputs(days.items())
            yield f"{part} data, {name}", f"{len(days)} days, {digest}"


def _metrics(evaluation: Evaluation, trials: list[Trial]) -> dict[str, float]:
    figures: dict[str, float] = {"trials": len(trials), "proposed": float(evaluation.is_better)}
    for part in ("validation", "holdout"):
        for name in ("present", "popularity", "proposed", "lead"):
            estimate: Estimate | None = getattr(getattr(evaluation, part), name)
            if estimate is not None:
                figures |= {f"{part}.{name}": estimate.mean}
                figures |= {f"{part}.{name}.low": estimate.low, f"{part}.{name}.high": estimate.high}
    return figures
