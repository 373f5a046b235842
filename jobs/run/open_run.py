"""Opens runs for a stage: checks that they may start, makes or resumes them, and takes the product's lease.

RunError
├── RunConflict         the run id exists with another request
└── FirstRunNeeded      nothing serves yet and `--first` is missing, or the other way round
"""

import datetime as dt
from collections.abc import Callable
from contextlib import ExitStack, suppress

from conf.diff import differences
from conf.environment import Environment
from conf.errors import ConfigError, Refused
from conf.experiment import CONTROL_SUFFIX
from conf.load import config_hash, load_settings
from conf.settings import Settings
from conf.share import NOBODY, Share
from expectations.overrides import check_overrides
from jobs.experiments.run_share import share_of_ramp
from jobs.run.after_serving import SERVE
from jobs.run.alert import tell
from jobs.run.arguments import Arguments
from jobs.run.arms import Arm, arms_of
from jobs.run.context import Run
from jobs.run.manifest import Manifest, Request, kept_runs, load_manifest, run_folder, save_manifest
from jobs.run.report import write_report
from jobs.run.run_id import RunId
from jobs.run.servers import RunServers, open_servers
from jobs.run.session import begin_session
from jobs.runtime.log import log, log_step
from jobs.runtime.versions import code_version, library_versions
from jobs.storage.folders import check_folders
from jobs.storage.store import Storage
from models.champion import find_champion
from publish.author import person
from publish.clock import utc_now
from publish.errors import LeaseLost


class RunError(Refused):
    """The run cannot be opened as requested."""


class RunConflict(RunError):
    """The run id belongs to a run with another request."""


class FirstRunNeeded(RunError):
    """There is no run to compare with and `--first` is missing, or the other way round."""


def work_on_runs(arguments: Arguments, work: Callable[[Run], None]) -> None:
    """Does `work` on each run that the command line asks for, new or resumed, under the product's lease.

    In an experiment with a control the control comes first. Servers are checked before anything.
    """
    settings = load_settings(arguments.config, arguments.overlay or ())
    check_overrides(arguments.flags.overrides)
    environment = Environment.read()
    home = Storage(environment.home)
    check_folders(home, settings)
    share = _allowed_share(settings, arguments, home)
    run_id = str(arguments.run_id or _new_run_id(home, settings.product, arguments.as_of))
    arms = arms_of(settings, home, run_id, share)
    begin_session(f"{settings.product} {run_id}", settings.spark)
    servers = open_servers(settings, environment, home)
    with servers.lease(run_id) as lease, ExitStack() as stack:
        for arm in arms:
            request = _request(arm, arguments)
            run = Run(arm.settings, home, servers, lease, _manifest(arm, home, servers, request))
            stack.callback(run.close)  # at the end: the runs share a session
            _log_start(run, run_id)
            _work(run, work)


def _log_start(run: Run, again: str) -> None:
    part = run.manifest.experiment
    what = "" if part is None else f", {part.role} of experiment {part.experiment}"
    log_step(
        "run",
        f"{run.run_id}, as of {run.as_of}, {run.share} of the audience{what}; to resume after a stop: --run-id {again}",
    )


def _work(run: Run, work: Callable[[Run], None]) -> None:
    try:
        work(run)
    except BaseException as error:
        run.note_failure(error)
        tell(run, error)
        with suppress(LeaseLost):  # another attempt may own the folder by now
            run.check_lease()
            _report(run, to_registry=isinstance(error, Exception))
        raise
    _report(run, to_registry=SERVE in run.manifest.stages)


def _report(run: Run, *, to_registry: bool) -> None:
    """Writes the run's report as far as it came; into the registry when no later stage will add to it."""
    write_report(run.home, run.settings.product, run.run_id, run.servers.registry if to_registry else None)


def _manifest(arm: Arm, home: Storage, servers: RunServers, request: Request) -> Manifest:
    settings = arm.settings
    folder = run_folder(home, settings.product, request.run_id)
    known = load_manifest(folder)
    if known is not None:
        _refuse_other_request(known, request, settings)
        _refuse_unbound(known)
        _warn_of_other_code(known)
        return known
    serving = _serving_before(arm, home, servers)
    if serving is None and not request.first:
        raise FirstRunNeeded(
            f"nothing serves for {settings.product} yet, so there is no run to compare this one with; "
            "look at your data once, then start the first run with --first"
        )
    if serving is not None and request.first:
        raise FirstRunNeeded(f"--first was given, but run {serving} serves already; start without it")
    if arm.part is None or not arm.part.is_control:
        _warn_of_smaller_share(servers, request.share_bp)
    manifest = Manifest(
        request=request,
        started_by=request.trigger_id or person(),
        created_at=utc_now(),
        code_version=code_version(),
        libraries=library_versions(),
        epoch=servers.runs.next_epoch(),
        serving_before=serving,
        champion=find_champion(servers.registry, settings.product, serving),
        experiment=arm.part,
        settings=settings.model_dump(mode="json"),
        bound=True,
    )
    save_manifest(folder, manifest)
    return manifest


def _serving_before(arm: Arm, home: Storage, servers: RunServers) -> str | None:
    """Returns the run that a new run is compared with: a control with that of the week before, if there is one."""
    pointer = servers.pointers.read()
    if arm.part is None or not arm.part.is_control or pointer.control is None:
        return pointer.treatment
    before = load_manifest(run_folder(home, arm.settings.product, pointer.control))
    known = None if before is None else before.experiment
    is_same = known is not None and known.experiment == arm.part.experiment
    return pointer.control if is_same else pointer.treatment


def _refuse_unbound(known: Manifest) -> None:
    """Raises RunConflict for a run without digests: nobody can tell if it changed after its gates."""
    if not known.bound and "publish" not in known.stages:
        raise RunConflict(
            f"run {known.request.run_id} was begun by code that kept no digests of what its stages made "
            f"({known.code_version}), so changes since then cannot be noticed; start a new run without --run-id"
        )


def _warn_of_other_code(known: Manifest) -> None:
    now = code_version()
    if now != known.code_version:
        log.warning(
            "warning   the run began with code %s and continues with %s; its manifest says which made each stage",
            known.code_version,
            now,
        )


def _warn_of_smaller_share(servers: RunServers, share: Share) -> None:
    served = servers.pointers.read().share_bp
    if share < served:
        log.warning(
            "warning   %s of the audience are served now, and this run covers %s: when it serves, the others get the "
            "control arm",
            served,
            share,
        )


def _refuse_other_request(known: Manifest, asked: Request, settings: Settings) -> None:
    """Raises RunConflict; a setting may differ because a newer version has another default."""
    there, here = known.request.model_dump(), asked.model_dump()
    others = {name: (repr(there[name]), repr(here[name])) for name in there if there[name] != here[name]}
    if "config_hash" in others:
        others |= differences(known.settings, settings.model_dump(mode="json"))
    if others:
        what = "; ".join(f"{name} is {then} there and {now} here" for name, (then, now) in others.items())
        raise RunConflict(
            f"run {asked.run_id} exists and was asked for something else: {what}; "
            "repeat its flags and settings to resume it, or start a new run without --run-id"
        )


def _request(arm: Arm, arguments: Arguments) -> Request:
    return Request(
        run_id=arm.run_id,
        product=arm.settings.product,
        as_of=arguments.as_of,
        config_hash=config_hash(arm.settings),
        share_bp=arm.share,
        trigger_id=arguments.trigger_id,
        **arguments.flags.model_dump(),
    )


def _allowed_share(settings: Settings, arguments: Arguments, home: Storage) -> Share:
    """Returns the share to serve: as requested, else as it was begun with, decided or set.

    It is > 0, and by hand at most `max_manual_share`.
    """
    largest, by_hand = settings.rollout.max_manual_share, arguments.trigger_id is None
    asked = arguments.audience_share
    if asked is None:
        usual = _begun_with(settings, arguments, home) or _usual_share(settings, arguments, home)
        asked = min(largest, usual) if by_hand else usual
    if by_hand and asked > largest:
        raise ConfigError(
            f"--audience-share {asked} is more than a manual run may serve (rollout.max_manual_share = {largest}); "
            "choose a smaller share, or let the scheduler start the run"
        )
    if asked == NOBODY:
        raise ConfigError(
            "a share of 0 makes lists for nobody: see --audience-share, rollout.share and rollout.max_manual_share; "
            "to stop serving, run `discovery share 0`"
        )
    return asked


def _begun_with(settings: Settings, arguments: Arguments, home: Storage) -> Share | None:
    """Returns the share of a run of an experiment that is resumed: what is decided meanwhile does not change it."""
    if arguments.run_id is None or settings.rollout.ramp is None:
        return None
    names = (str(arguments.run_id), f"{arguments.run_id}{CONTROL_SUFFIX}")  # the control's is there first
    found = (load_manifest(run_folder(home, settings.product, name)) for name in names)
    known = next((one for one in found if one is not None and one.experiment is not None), None)
    if known is None or known.experiment is None:
        return None
    return known.experiment.treatment_share_bp if known.experiment.is_control else known.request.share_bp


def _usual_share(settings: Settings, arguments: Arguments, home: Storage) -> Share:
    """Returns the share that the open experiment's ramp decided last, without one that of the settings."""
    decided = share_of_ramp(settings, home, arguments.as_of)
    if decided is None:
        return settings.rollout.share
    log_step("run", f"{decided} of the audience, as the ramp of the open experiment decided; see --audience-share")
    return decided


def _new_run_id(home: Storage, product: str, as_of: dt.date) -> RunId:
    attempts = [run.attempt for run in kept_runs(home, product).values() if run.as_of == as_of]
    return RunId(utc_now().replace(microsecond=0), as_of, max(attempts, default=0) + 1)
