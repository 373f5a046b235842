"""The runs that one start makes: one, or in an experiment with a control two, the control first."""

from dataclasses import dataclass

from pydantic import ValidationError

from conf.diff import differences
from conf.errors import ConfigError
from conf.experiment import CONTROL_SUFFIX, Experiment, RunPart
from conf.recipe import Recipe, RecipeGone
from conf.settings import Settings
from conf.share import EVERYBODY, Share
from jobs.experiments.store import ExperimentStore
from jobs.run.manifest import load_manifest, run_folder
from jobs.storage.store import Storage


class PinnedByExperiment(ConfigError):
    """The settings do not go with what an experiment has pinned."""


@dataclass(frozen=True)
class Arm:
    """One run of a start: what it is called, made of, and whom it covers."""

    run_id: str
    settings: Settings
    share: Share
    part: RunPart | None
    """Its part in an experiment; None outside of one."""


def arms_of(settings: Settings, home: Storage, run_id: str, share: Share) -> list[Arm]:
    """Returns the runs of a start in the order in which they are made; share: what the treatment covers.

    A run that was begun before belongs to the experiment that was open then. Raises PinnedByExperiment,
    DamagedExperiment, ChangedSince.
    """
    experiment = _experiment(home, settings.product, run_id)
    if experiment is None:
        return [Arm(run_id, settings, share, None)]
    own = _with_salt(settings, experiment)
    _refuse_other_recipe(own, experiment)
    control_run = None if experiment.control == "none" else f"{run_id}{CONTROL_SUFFIX}"
    part = RunPart(
        experiment=experiment.name,
        role="treatment",
        control=experiment.control,
        opened=experiment.opened,
        control_run=control_run,
    )
    treatment = Arm(run_id, own, share, part)
    if control_run is None:
        return [treatment]
    made_as = part.model_copy(update={"role": "control", "control_run": None, "treatment_share_bp": share})
    return [Arm(control_run, _control_settings(own, experiment), EVERYBODY, made_as), treatment]


def _experiment(home: Storage, product: str, run_id: str) -> Experiment | None:
    """Returns the experiment that a run belongs to: the one in its manifest, or for a new run the open one."""
    store = ExperimentStore.of(home, product)
    known = load_manifest(run_folder(home, product, run_id))
    if known is None:
        return store.find_open()
    return None if known.experiment is None else store.get(known.experiment.experiment)


def _with_salt(settings: Settings, experiment: Experiment) -> Settings:
    rollout = settings.rollout.model_copy(update={"salt": experiment.salt})
    return settings.model_copy(update={"rollout": rollout})


def _refuse_other_recipe(settings: Settings, experiment: Experiment) -> None:
    """Raises PinnedByExperiment if the settings have another recipe than the pinned one of the treatment."""
    ours = Recipe.of(settings)
    try:
        pinned = experiment.treatment.parsed().to_json()  # as this code writes it
    except ValidationError:
        pinned = experiment.treatment.recipe
    if others := differences(pinned, ours.to_json()):
        what = "; ".join(f"{name} is {then} there and {now} now" for name, (then, now) in others.items())
        raise PinnedByExperiment(
            f"experiment {experiment.name} is open and pins the recipe of its treatment, and the settings have another "
            f"one: {what}; restore the settings, or close the experiment: discovery experiment close"
        )


def _control_settings(settings: Settings, experiment: Experiment) -> Settings:
    """Returns the settings of the control's run; raises PinnedByExperiment if its recipe cannot be made any more."""
    if experiment.control_recipe is None:  # popular: scores are numbers of users
        return settings.model_copy(update={"lists": settings.lists.model_copy(update={"min_score": None})})
    try:
        return experiment.control_recipe.parsed().applied_to(settings)
    except RecipeGone as error:
        why = str(error)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        why = f"this code cannot read it ({'.'.join(map(str, first['loc']))}: {first['msg']})"
    raise PinnedByExperiment(
        f"experiment {experiment.name} is open, and the pinned recipe of its control cannot be made any more: {why}; "
        "restore the settings, or close the experiment: discovery experiment close"
    )
