"""The last stage: waits until the loader has made the run serve."""

from jobs.run.after_serving import SERVE, note_serving, serve_facts
from jobs.run.context import Run
from jobs.run.progress import ProgressLog
from jobs.runtime.log import log_step
from jobs.stages.stage import Facts, stage
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.errors import DeadlinePassed, RunFailed, RunHeld
from publish.operate.control import Control
from publish.operate.wait import RunEnding, Waited, wait
from publish.runs.pointer import Pointer

_ENDS = {RunEnding.HELD: RunHeld, RunEnding.FAILED: RunFailed, RunEnding.DEADLINE: DeadlinePassed}


@stage(SERVE)
def wait_until_serving(run: Run) -> Facts:
    """Waits until the run serves, or a control is complete.

    Raises RunHeld (exit code 3), RunFailed (4) or DeadlinePassed (5).
    """
    log, who = KafkaPointerLog(run.servers.kafka), run.manifest.started_by
    control = Control.connect(run.servers.client, run.settings.product, log=log, who=who)
    waited = wait(run.run_id, control.lifecycle, control.pointers, progress=ProgressLog())
    if waited.ending is not RunEnding.SERVING:
        raise _ENDS[waited.ending](_explain(run.run_id, waited, control.pointers.read()))
    if run.is_control:
        log_step("serve", f"run {run.run_id} is complete; it serves the control arm once its treatment serves")
        return serve_facts(control, run.run_id)
    pointer = control.pointers.read()
    log_step("serve", f"run {run.run_id} serves {pointer.share_bp} of the audience")
    facts = serve_facts(control, run.run_id)
    note_serving(run.settings, run.home, control, run.servers.registry, run.run_id)
    return facts


def _explain(run_id: str, waited: Waited, pointer: Pointer) -> str:
    serves = f"run {pointer.treatment} still serves" if pointer.treatment is not None else "nothing serves yet"
    if waited.ending is RunEnding.HELD:
        why = "" if pointer.hold is None else f" ({pointer.hold.reason})"
        remedy = f"`discovery unhold` and `discovery promote {run_id}` let it serve"
        return f"run {run_id} is complete and held: {waited.reason}{why}; {serves}; {remedy}"
    return f"run {run_id} does not serve: {waited.reason}; {serves}; see `discovery status` and the loader's log"
