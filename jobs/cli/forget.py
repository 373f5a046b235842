"""`discovery forget USER`: one user deleted everywhere (docs/forget.md)."""

from jobs.cli.options import Cli, Reason, user_command
from jobs.cli.views.view import View, utc_text
from jobs.experiments.store import ExperimentStore
from jobs.experiments.weeks import forget_weeks
from jobs.exposures.scrub import forget_answers
from jobs.exposures.store import LandingStore
from jobs.storage.store import Storage
from publish.connect.topics import ensure_topics
from publish.operate.forget import Forgetter, Forgotten
from publish.runs.erasures import ErasureLog, erased_ids
from publish.wire.keys import ProductKeys


@user_command
def forget(cli: Cli, user: str, reason: Reason = "asked for by hand") -> None:
    """Delete a user's lists and landed answers, and keep the user out of every later run. It cannot be undone."""
    context = cli.open()
    kafka = context.environment.need_kafka()  # an erasure that only Redis knows would be lost with it
    ensure_topics(kafka, ProductKeys(context.product), context.settings.publish, context.settings.exposures)
    forgetter = Forgetter(
        ErasureLog(kafka, context.product),
        context.control.registry,
        context.control.lifecycle.store,
        ids=context.settings.ids,
        partitions=context.settings.publish.partitions,
    )
    done = forgetter.forget(user, reason)
    store = LandingStore.of(Storage(context.environment.home), context.product)
    users = erased_ids([done.erasure], context.settings.ids, context.product)
    answers = forget_answers(store, users)
    weeks = forget_weeks(ExperimentStore.of(Storage(context.environment.home), context.product), users)
    cli.show(forgotten(done, answers, store.at.uri, weeks))


def forgotten(done: Forgotten, answers: int, folder: str, weeks: int) -> View:
    """Returns what was done about a user.

    answers: rows that were deleted from the folder of landed answers; weeks: from the weeks of experiments.
    """
    erasure, kept = done.erasure, len(done.looked_into)
    if done.removed_from:
        lists = f"deleted from {', '.join(done.removed_from)}"
    else:
        lists = "nothing to delete" if kept else "no run is kept"
    lines = [
        f"user    {erasure.user} is forgotten since {utc_text(erasure.at)}: {erasure.reason}",
        f"lists   {lists} ({kept} kept runs looked into)",
        f"answers {answers:,} deleted from {folder}; the topic: docs/forget.md",
        f"weeks   {weeks:,} rows deleted from those of experiments",
        "later   no run reads, computes or loads anything of the user; when files and messages age out: docs/forget.md",
    ]
    data = {
        **erasure.model_dump(mode="json"),
        "known_before": done.known_before,
        "looked_into": list(done.looked_into),
        "removed_from": list(done.removed_from),
        "answers_deleted": answers,
        "weeks_deleted": weeks,
    }
    return View("\n".join(lines), data)
