"""What a model card shows beside its own version: the champion and earlier versions, from MLflow."""

from pydantic import BaseModel, ConfigDict, ValidationError

from conf.experiment import CONTROL_SUFFIX
from jobs.run.context import Run
from models.golden import GoldenMetrics
from models.model_card import ChampionPage, Shape, Week
from models.registry import LoggedRun, Version

_WEEKS = 8


def weeks_before(run: Run, golden: GoldenMetrics) -> list[Week]:
    """Returns at most eight versions that other runs of the same arm registered last, oldest first.

    Raises RegistryError.
    """
    versions = {
        version.run_id: version  # the first of a run: later ones are copies
        for version in run.servers.registry.versions(run.settings.product)
        if version.run_id not in (None, run.run_id) and version.mlflow_run is not None
        if str(version.run_id).endswith(CONTROL_SUFFIX) == run.is_control
    }
    return [_week(version, _logged(run, version), golden) for version in reversed(list(versions.values())[:_WEEKS])]


def champion_page(run: Run, golden: GoldenMetrics) -> ChampionPage | str:
    """Returns the version that served when the run began, or why there is none. Raises RegistryError."""
    registry, parent = run.servers.registry, run.manifest.serving_before
    if parent is None:
        return "nothing served before"
    version = registry.version_of(run.settings.product, parent)
    if version is None or version.mlflow_run is None:
        return f"MLflow has no version of run {parent}"
    logged, kept = _logged(run, version), _Kept.of(registry.lineage(version.mlflow_run))
    return ChampionPage(_week(version, logged, golden), kept.golden, kept.shapes)


def _logged(run: Run, version: Version) -> LoggedRun | None:
    return None if version.mlflow_run is None else run.servers.registry.logged(version.mlflow_run)


class _Kept(BaseModel):
    """The part of a lineage that a later version's page shows; empty in older versions."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    golden: GoldenMetrics | None = None
    shapes: dict[str, Shape] = {}

    @classmethod
    def of(cls, lineage: str | None) -> "_Kept":
        try:
            return cls.model_validate_json(lineage or "{}")
        except ValidationError:  # of other code: the page shows it as unknown
            return cls()


def _week(version: Version, logged: LoggedRun | None, golden: GoldenMetrics) -> Week:
    """Returns a registered version by the metrics and parameters of its run; runs of older code lack some."""
    metrics, params = ({}, {}) if logged is None else (logged.metrics, logged.params)
    arm = "judged.champion." if params.get("winner") == "champion" else "judged."
    return Week(
        version=version.number,
        run_id=version.run_id or "unknown",
        as_of=version.tags.get("discovery.as_of", "unknown"),
        k=whole(metrics.get("judged.k")),
        ndcg=metrics.get(f"{arm}ndcg"),
        low=metrics.get(f"{arm}ndcg.low"),
        high=metrics.get(f"{arm}ndcg.high"),
        popularity=metrics.get("judged.popularity.ndcg"),
        golden=metrics.get("golden.ndcg") if params.get("golden.sha256") == golden.sha256 else None,
        users=whole(metrics.get("users")),
        sources=whole(metrics.get("sources")),
        interactions=whole(metrics.get("interactions")),
    )


def whole(value: float | None) -> int | None:
    """Returns a count that MLflow or JSON may hold as a float; None where it is unknown."""
    return None if value is None else int(value)
