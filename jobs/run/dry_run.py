"""`--dry-run`: which partitions a run would read, from their names and Parquet footers alone; no Spark, no servers."""

import sys
from collections.abc import Iterator

from conf.base import format_bytes
from conf.environment import Environment
from conf.load import load_settings
from conf.text_table import table
from features.reading.dataset import DatasetPlan, excluded_text
from features.survey import check_survey, survey_inputs
from jobs.run.arguments import Arguments
from jobs.run.arms import arms_of
from jobs.storage.datasets import open_catalog
from jobs.storage.folders import check_folders
from jobs.storage.store import Storage


def dry_run(arguments: Arguments) -> Iterator[str]:
    """Yields the plan of every dataset as text, then raises what the run would raise before reading a row."""
    settings = load_settings(arguments.config, arguments.overlay or ())
    home = Storage(Environment.read().home)
    check_folders(home, settings)
    for arm in arms_of(settings, home, str(arguments.run_id or "-"), settings.rollout.share):
        catalog = open_catalog(arm.settings, home)
        survey = survey_inputs(arm.settings, arguments.as_of, catalog)
        who = settings.product if arm.part is None else f"{settings.product} ({arm.part.role})"
        head = f"{who} as of {arguments.as_of} would read, below {home.child(settings.data_root).uri}:\n"
        yield f"{head}{table([_row(plan) for plan in survey.plans], indent=2, to=sys.stdout)}\n"
        check_survey(survey, arm.settings, catalog)  # after the plan, which is wanted also when it has gaps
    yield "read: names, markers and footers, nothing else; the run would start\n"


def _row(plan: DatasetPlan) -> tuple[str, str, str]:
    lines = [f"{len(plan.found)} partitions, {plan.rows:,} rows, {format_bytes(plan.bytes)}"]
    for what, days in (("missing", plan.missing), ("unfinished", plan.unfinished), ("empty", plan.empty)):
        if days:
            lines.append(f"{what}: {', '.join(str(day) for day in days)}")
    if plan.excluded:
        lines.append(f"excluded: {excluded_text(plan.excluded)}")
    return plan.name, str(plan.window), "\n".join(lines)
