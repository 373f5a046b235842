"""Shadow lists of a run: for a sample of the users whom it does not serve, by the same rules; never published.

No gate judges them, and no count of served users has them.
"""

from conf import contract
from conf.shadow import SHADOW, ShadowSample
from jobs.run.context import Run, RunContext
from jobs.runtime.log import timed
from jobs.stages.lists_from_factors import audience, lists_from_factors
from jobs.stages.stage import Facts
from models.lists.fallback import Fallback
from models.lists.shadow import is_sampled
from models.lists.topn import Folder, excluded_sources

_SAMPLE = "shadow.json"


def shadow_facts(run: Run, candidates: Folder, fallback: Fallback) -> Facts:
    """Writes the shadow lists, if the settings ask for some. Returns what the manifest says of them."""
    sample = _sample(run)
    if sample is None:
        return {}
    rows = make_shadow_lists(run, sample, candidates, fallback)
    return {SHADOW: {"sample": sample.model_dump(mode="json"), "rows": rows}}


def sample_in(facts: Facts) -> ShadowSample | None:
    """Returns the sample that facts of stage topn name; None: no shadow lists were made."""
    return ShadowSample.model_validate(facts[SHADOW]["sample"]) if SHADOW in facts else None


def make_shadow_lists(run: RunContext, sample: ShadowSample, candidates: Folder, fallback: Fallback) -> int:
    """Writes the table of shadow lists by the factors and exclusions in the run's folder. Returns its rows."""
    everybody = audience(run)
    users = everybody.where(is_sampled(sample, everybody["user_id"]))
    with timed("topn", "shadow lists") as notes:
        excluded = excluded_sources(run.tables.read("exclusions"), users)
        lists = lists_from_factors(run, "", candidates, excluded, fallback, users)
        rows = run.tables.write(SHADOW, lists, contract.shadow(run.ids))
        notes.append(f"{rows:,} rows, never published")
    return rows


def _sample(run: Run) -> ShadowSample | None:
    """Returns the sample of this run: the one of an earlier attempt, if it chose one, whatever the settings are now."""
    if run.folder.exists(_SAMPLE):
        return ShadowSample.model_validate(run.folder.read_document(_SAMPLE))
    sample = ShadowSample.of(run.share, run.settings.rollout.salt, run.settings.outcomes.shadow_share)
    if sample is not None:
        run.folder.write_document(_SAMPLE, sample.model_dump(mode="json"))
    return sample
