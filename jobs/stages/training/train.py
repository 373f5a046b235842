"""Interactions → embeddings: recipes are judged on the hold-out, the winner is refit on everything and registered.

Training reads Parquet itself; Spark ranks and judges the lists of the recipes.
"""

from jobs.run.context import Run, RunContext
from jobs.runtime.log import log_step
from jobs.stages.stage import Facts, stage
from jobs.stages.training.fit import TrainingTask, fit
from jobs.stages.training.judging import check_judgeable, judge_recipes
from jobs.stages.training.model_card import measure_version, write_model_card
from jobs.stages.training.popular import popular_facts
from jobs.stages.training.refresh import refresh
from jobs.stages.training.register import lineage_of, register_lineage
from models.champion import Contest
from models.errors import BadIds, BadInteractions, NoCandidates, NothingToJudge, TrainError, TrainMemoryError
from models.judge import Judgement
from models.judge.acceptance import decide
from models.registry.lineage import Decision

_DECISION = "decision.json"
_UNTRAINABLE = (BadIds, BadInteractions, TrainError, TrainMemoryError)


@stage("train")
def train_embeddings(run: Run) -> Facts:
    """Writes and registers the factors of the winning recipe or, in a refresh, of the serving version.

    For lists of popular sources nothing is trained, and nothing registered.
    """
    if run.is_popular:
        return popular_facts(run)
    facts, judgement = _refresh(run) if run.manifest.request.refresh else _compete(run)
    made = lineage_of(run, facts)
    found = measure_version(run, made, judgement)
    made = made.model_copy(update=found.kept)
    pages = write_model_card(run, made, found)
    model = register_lineage(run, made, pages.folder)
    return {**facts, **found.kept, "model_card": {"missing_plots": pages.faults}, "model": model}


def _refresh(run: Run) -> tuple[Facts, str]:
    """Keeps the serving factors. Returns the facts, and why they are not judged again."""
    facts = refresh(run)
    return facts, facts["judged"]["skipped"]


def _compete(run: Run) -> tuple[Facts, Judgement | str]:
    """Judges the run's recipe and the champion's, both trained before the cut, and refits the winner."""
    contest, judgement = _judge(run, run.contest)
    decision = _kept(run) or decide(contest, judgement, run.settings.judge.tolerance)
    decision, stats = _refit(run, contest, decision)
    judged = {"skipped": judgement} if isinstance(judgement, str) else judgement.flat()
    return {"training": stats, "judged": judged, "decision": decision.model_dump()}, judgement


def _judge(run: Run, contest: Contest) -> tuple[Contest, Judgement | str]:
    """Judges the recipes for users with something new in the hold-out. Returns the contest, and figures or why not.

    A champion's recipe that cannot be trained any more leaves the contest.
    """
    try:
        check_judgeable(run)
        fit(run, TrainingTask("train_", "train_interactions", run.settings.train))
        contest = _with_champion(run, contest)
        return contest, judge_recipes(run, contest)
    except (NoCandidates, NothingToJudge) as error:
        log_step("train", f"not judged: {error}")
        return contest, str(error)


def _with_champion(run: Run, contest: Contest) -> Contest:
    """Trains the champion's recipe. Returns the contest, without the champion if that is not possible."""
    if contest.champion is None:
        return contest
    try:
        fit(run, TrainingTask("champion_train_", contest.table("train_interactions"), contest.champion.train))
    except _UNTRAINABLE as error:
        return Contest(None, own_features=False, reason=f"the champion's recipe cannot be trained any more: {error}")
    return contest


def _refit(run: Run, contest: Contest, decision: Decision) -> tuple[Decision, Facts]:
    """Trains what is published; if the champion's recipe cannot be trained any more, the run's own."""
    run.folder.write_document(_DECISION, decision.model_dump())
    log_step("train", f"the {decision.winner}'s recipe is refit: {decision.reason}")
    try:
        return decision, fit(run, refit_of(run, contest, decision))
    except _UNTRAINABLE as error:
        if decision.winner == "challenger" or contest.champion is None:
            raise
        reason = f"the champion's recipe cannot be trained any more: {error}"
        return _refit(run, contest, Decision(winner="challenger", reason=reason))


def _kept(run: Run) -> Decision | None:
    """Returns the decision of an earlier attempt, if it made one: its factors may exist."""
    if not run.folder.exists(_DECISION):
        return None
    return Decision.model_validate(run.folder.read_document(_DECISION))


def refit_of(run: RunContext, contest: Contest, decision: Decision) -> TrainingTask:
    """Returns the training of what the run publishes."""
    if decision.winner == "champion" and contest.champion is not None:
        return TrainingTask("", contest.table("interactions"), contest.champion.train)
    return TrainingTask("", "interactions", run.settings.train)
