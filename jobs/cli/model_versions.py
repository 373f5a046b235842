"""The versions of a product's model from the operator's side: what each is, and letting one serve or going back.

What serves is in the pointer in Redis alone. `champion` and `previous` are read off it, and MLflow's aliases of
these names are copies; so promoting a version is promoting its run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conf.errors import Refused
from conf.share import Share
from jobs.cli.context import ProductContext
from jobs.cli.serving import note_that_serves
from models.registry import CHALLENGER, CHAMPION, PREVIOUS, LoggedRun, ModelRegistry, Version
from models.registry.lineage import Lineage, LineageCheck, NoLineage, check_lineage
from publish.clock import utc_now
from publish.runs.pointer import Pointer
from publish.runs.run import RunState

PROMOTED_TAG = "discovery.promoted"
"""When and why a person let the version serve, the last time."""


class UnknownVersion(Refused):
    """There is no such version, or nothing that an alias could stand for."""


class NoModelCard(Refused):
    """No page was kept with the version."""


class NotServable(Refused):
    """The lists of the version's run cannot serve any more, or not yet."""


@dataclass(frozen=True)
class ModelVersion:
    """A version, what it is to the product now, and the share of the audience that it serves."""

    version: Version
    roles: tuple[str, ...]
    """Champion and previous by the pointer, all other aliases by MLflow."""
    share_bp: Share | None
    """None: it does not serve."""


@dataclass(frozen=True)
class Served:
    """What serves after an order: the model, unless MLflow does not know it, and the pointer."""

    model: ModelVersion | None
    pointer: Pointer


@dataclass(frozen=True)
class ModelVersions:
    """The models of one product; every method may raise StoreUnreachable and RegistryError."""

    context: ProductContext
    registry: ModelRegistry
    config: Path

    def models(self) -> list[ModelVersion]:
        """Returns every version, the newest first; raises UnknownVersion when the product has none."""
        versions = self.registry.versions(self.context.product)
        if not versions:
            raise UnknownVersion(
                f"MLflow at {self.registry.where} has no model of {self.context.product} yet; the weekly job registers "
                f"one: {self._job}"
            )
        pointer = self.context.control.pointers.read()
        made_by = {version.run_id: version.number for version in versions}  # the first of a run; copies are later
        runs = {CHAMPION: pointer.treatment, PREVIOUS: pointer.previous}
        now = {made_by[run]: role for role, run in runs.items() if run is not None and run in made_by}
        return [_model(version, now.get(version.number), pointer) for version in versions]

    def find(self, name: str) -> ModelVersion:
        """Returns the version of this number or alias; raises UnknownVersion."""
        models = self.models()
        for model in models:
            if name == model.version.number or name in model.roles:
                return model
        raise UnknownVersion(f"{self._why_not(name)}; `discovery model list` names the versions that there are")

    def logged(self, model: ModelVersion) -> LoggedRun | None:
        """Returns the MLflow run behind a version; None when there is none."""
        run = model.version.mlflow_run
        return None if run is None else self.registry.logged(run)

    def check_lineage(self, model: ModelVersion) -> LineageCheck:
        """Returns how a version was made, and whether that can be believed."""
        return check_lineage(self.registry, model.version)

    def checked_lineage(self, model: ModelVersion) -> Lineage:
        """Returns how a version was made; raises NoLineage unless it can be trusted."""
        checked = self.check_lineage(model)
        if checked.lineage is None or checked.faults:
            raise NoLineage(
                f"version {model.version.number} of {self.context.product} has no lineage to rely on, and "
                f"only what the weekly job registered may serve: {'; '.join(checked.faults)}"
            )
        return checked.lineage

    def fetch_model_card(self, model: ModelVersion, target: Path) -> list[Path]:
        """Copies the pages of a version into a folder and returns the files; raises NoModelCard."""
        run = model.version.mlflow_run
        files = [] if run is None else self.registry.fetch_model_card(run, target)
        if not files:
            name = f"version {model.version.number} of {self.context.product}"
            raise NoModelCard(f"no model card was kept with {name}; `discovery model show` tells what is known of it")
        return files

    def promote(self, name: str, reason: str) -> Served:
        """Lets the run of a version serve, forward or back, by the rules of `discovery promote` and `rollback --to`.

        Changes nothing when it serves already. Raises UnknownVersion, NoLineage, NotServable, RunHeld, RunRefused.
        """
        model = self.find(name)
        lineage = self.checked_lineage(model)
        control, run = self.context.control, lineage.run_id
        before = control.pointers.read()
        self._check_servable(model, lineage)
        if before.treatment is not None and self._epoch(run) < self._epoch(before.treatment):
            pointer = control.rollback(run, reason=reason)
        else:
            pointer = control.promote(run, reason=reason)
        if pointer.treatment != before.treatment:
            self.registry.note(model.version, PROMOTED_TAG, f"{utc_now():%Y-%m-%d %H:%M:%S}Z: {reason}")
        return self._served(pointer)

    def rollback(self, reason: str) -> Served:
        """Lets `previous` serve again, as `discovery rollback` does; raises RunRefused when there is none."""
        return self._served(self.context.control.rollback(reason=reason))

    @cached_property
    def _job(self) -> str:
        return f"spark-submit jobs/prod_discovery.py --config {self.config} --as-of DAY"

    def _why_not(self, name: str) -> str:
        pointer, product = self.context.control.pointers.read(), self.context.product
        if name == CHAMPION and pointer.treatment is None:
            return f"nothing serves for {product} yet, so there is no champion"
        if name == PREVIOUS and pointer.previous is None:
            return f"there is no version of {product} to go back to"
        if name in (CHAMPION, PREVIOUS):
            run = pointer.treatment if name == CHAMPION else pointer.previous
            return f"{name} is run {run}, and MLflow at {self.registry.where} has no version of it"
        if name == CHALLENGER:
            return f"no version of {product} waits to serve: the one registered last serves, or has served"
        return f"{product} has no version {name!r}; give a number, champion, challenger or previous"

    def _check_servable(self, model: ModelVersion, lineage: Lineage) -> None:
        """Raises NotServable unless Redis holds the lists of the version's run, whole and never rolled back."""
        known = self.context.control.registry.find(lineage.run_id)
        if known is not None and known.state is RunState.READY:
            return
        what = f"run {lineage.run_id} of version {model.version.number}"
        if known is not None and known.state in (RunState.ANNOUNCED, RunState.LOADING):
            raise NotServable(f"{what} is still on its way ({known.state}): discovery wait {lineage.run_id}")
        state = "not known to Redis" if known is None else known.state
        raise NotServable(
            f"{what} is {state}, so its lists cannot serve; to serve its recipe, take code "
            f"{lineage.code['run']} and its settings (discovery model show {model.version.number} --settings), "
            f"and start a new run: {self._job}"
        )

    def _epoch(self, run: str) -> int:
        return self.context.control.registry.get(run).announcement.epoch

    def _served(self, pointer: Pointer) -> Served:
        assert pointer.treatment is not None, "an order that was obeyed leaves something that serves"
        note_that_serves(self.context, pointer.treatment)
        return Served(next((model for model in self.models() if model.share_bp is not None), None), pointer)


def open_models(context: ProductContext, config: Path) -> ModelVersions:
    """Returns the models of a product, whose settings are in `config`; raises ConfigError and, soon, RegistryError."""
    registry = ModelRegistry(context.environment.need_mlflow())
    if not registry.is_new:
        registry.check()
    return ModelVersions(context, registry, config)


def _model(version: Version, role: str | None, pointer: Pointer) -> ModelVersion:
    serves = role == CHAMPION
    by_hand = [alias for alias in version.aliases if alias not in (CHAMPION, PREVIOUS, CHALLENGER)]
    waits = [CHALLENGER] if CHALLENGER in version.aliases and role is None else []
    roles = (*([role] if role else []), *waits, *by_hand)
    return ModelVersion(version, roles, pointer.share_bp if serves else None)


def stale_aliases(models: Sequence[ModelVersion]) -> Mapping[str, str]:
    """Aliases in MLflow that do not say what the pointer says → the version they name there."""
    return {
        alias: model.version.number
        for model in models
        for alias in (CHAMPION, PREVIOUS)
        if alias in model.version.aliases and alias not in model.roles
    }
