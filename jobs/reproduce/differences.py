"""Compares what a run was made of with what is here: settings, inputs, forgotten users, code, libraries, machine."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from conf.diff import differences
from conf.load import tree_hash
from conf.settings import Settings
from features.errors import FeaturesError
from features.reading.dataset import DatasetPlan
from features.survey import survey_inputs
from jobs.run.manifest import Manifest, run_folder
from jobs.runtime.versions import CHANGES, MACHINE, code_version, library_versions
from jobs.stages.training.warm_start import digest_of_factors
from jobs.storage.datasets import open_catalog
from jobs.storage.erased import Erased
from jobs.storage.store import Storage
from models.registry.lineage import InputPartition

STAGES = ("features", "train", "topn")
"""The stages that write tables."""


@dataclass(frozen=True)
class Difference:
    """One difference between the run's time and now."""

    what: str
    detail: str
    certain: bool = False
    """Whether it certainly changes the result; otherwise it may."""


def config_differences(manifest: Manifest, settings: Settings) -> Iterator[Difference]:
    """Yields changes of the manifest's settings, and settings that this code reads differently."""
    found, asked = tree_hash(manifest.settings), manifest.request.config_hash
    if found != asked:
        detail = f"the manifest's settings have the hash {found}, the run was asked for with {asked}: they were changed"
        yield Difference("config", detail, certain=True)
    for name, (then, now) in differences(manifest.settings, settings.model_dump(mode="json")).items():
        yield Difference("config", f"{name} is {then} in the run and {now} in this code")


def input_differences(
    recorded: Sequence[Mapping[str, Any]], settings: Settings, manifest: Manifest, home: Storage
) -> Iterator[Difference]:
    """Yields partitions that changed since they were read; recorded: records of `features.records`."""
    try:
        catalog = open_catalog(settings, home, excluded=manifest.excluded or ())  # not those that are excluded by now
        survey = survey_inputs(settings, manifest.request.as_of, catalog)
        plans = {plan.name: plan for plan in survey.plans}
    except FeaturesError as error:
        yield Difference("input fingerprint", str(error), certain=True)
        return
    for record in recorded:
        plan = plans[record["name"]]
        then = {part.day: part for part in map(InputPartition.model_validate, record["days"])}
        if plan.name in settings.datasets.events:  # older days were read for judging only
            then = {day: part for day, part in then.items() if day in plan.window}
        else:  # the newest snapshot; an older one was for judging
            then = {day: part for day, part in then.items() if day == max(then)}
        for detail in _changed_days(then, plan):
            yield Difference("input fingerprint", f"dataset {plan.name}, {detail}", certain=True)


def _changed_days(then: Mapping[Any, InputPartition], plan: DatasetPlan) -> Iterator[str]:
    now = {part.day: part for part in plan.found}
    for day in sorted(then.keys() | now.keys()):
        if day not in now:
            state = "unfinished now" if day in plan.unfinished else "empty now" if day in plan.empty else "gone"
            yield f"{day}: the partition of {then[day].rows:,} rows is {state}"
        elif day not in then:
            yield f"{day}: a partition of {now[day].rows:,} rows that was not there"
        elif then[day].fingerprint != now[day].fingerprint:
            yield f"{day}: written or touched since ({then[day].rows:,} rows then, {now[day].rows:,} now)"


def forgotten_differences(manifest: Manifest, forgotten: Erased, tables: Sequence[ds.Dataset]) -> Iterator[Difference]:
    """Yields a difference if other users are left out now; tables: the run's tables with rows of users."""
    then = [manifest.stages[stage].facts.get("erased", Erased(frozenset()).fact) for stage in STAGES]
    if all(fact == forgotten.fact for fact in then):
        return
    rows = sum(_rows_of(forgotten, table) for table in tables)
    lost = max(fact["users"] for fact in then) > len(forgotten.users)
    known = f"{len(forgotten.users):,} users are forgotten now, {then[0]['users']:,} were"
    if lost:
        yield Difference("forgotten users", f"{known}: erasures were lost from Kafka", certain=True)
    elif rows:
        detail = f"{known}; {rows:,} rows of the run are theirs and are left out now: it must differ, and is no fault"
        yield Difference("forgotten users", detail, certain=True)
    else:
        yield Difference("forgotten users", f"{known}; the run holds no rows of those who came to it")


def _rows_of(forgotten: Erased, table: ds.Dataset) -> int:
    if not forgotten.users:
        return 0
    column = "user_id" if "user_id" in table.schema.names else "owner_id"
    users = pa.array(sorted(forgotten.users, key=str), table.schema.field(column).type)
    return int(table.count_rows(filter=ds.field(column).isin(users)))


def start_differences(manifest: Manifest, home: Storage) -> Iterator[Difference]:
    """Yields a difference if the factors that the training started from are gone or changed."""
    training = manifest.fact("train", "training")
    before = manifest.serving_before if manifest.request.refresh else training.get("from_run")
    if before is None:
        return
    folder = run_folder(home, manifest.request.product, before)
    origin = f"the training started from the factors of run {before}"
    if not all(folder.finished(table) for table in ("user_factors", "source_factors")):
        yield Difference("start", f"{origin}, which are gone from {folder.uri}", certain=True)
    elif training.get("from_digest") not in (None, digest_of_factors(folder)):
        yield Difference("start", f"{origin}, which are other ones now in {folder.uri}", certain=True)


def code_differences(manifest: Manifest) -> Iterator[Difference]:
    """Yields stages whose code version differs from this one, or had uncommitted changes."""
    now = code_version()
    made = {stage: manifest.stages[stage].code_version for stage in STAGES}
    for version in dict.fromkeys(made.values()):
        stages = ", ".join(stage for stage, by in made.items() if by == version)
        if version != now:
            yield Difference("code version", f"{stages} by {version}, here is {now}")
        elif version.endswith(CHANGES):
            yield Difference("code version", f"{stages} by {version}: uncommitted changes, which cannot be compared")


def library_differences(manifest: Manifest) -> Iterator[Difference]:
    """Yields changed versions of libraries, then of the platform."""
    then, now = manifest.libraries, library_versions()
    for name in sorted({*then, *now}, key=lambda name: (name in MACHINE, name)):
        if then.get(name) != now.get(name):
            what = "platform" if name in MACHINE else "library version"
            yield Difference(what, f"{name} {then.get(name, 'not recorded')} then, {now.get(name, 'none')} now")


def thread_differences(manifest: Manifest, settings: Settings) -> Iterator[Difference]:
    """Yields a difference if the trainer's number of threads changed; none for a training on the cluster."""
    then, now = manifest.fact("train", "training").get("threads"), settings.train.threads or os.cpu_count()
    if then is not None and then != now:
        yield Difference("thread count", f"{then} then, {now} now (train.threads; 0: every core)")
