"""What each stage of a run took: seconds, and memory of each kind of process."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from jobs.pages.report.documents import RunDocuments
from jobs.pages.report.drawings import bar
from jobs.pages.report.words import moment, seconds, size
from jobs.storage.stage_names import STAGES
from models.pages import MISSING

_PROCESSES = ("total", "jvm", "driver", "workers")


@dataclass(frozen=True)
class StageCost:
    """A stage; one that has not finished has no numbers."""

    name: str
    is_done: bool
    seconds: str
    share: Markup
    memory: Sequence[str]
    """Peak of all processes together, then of each kind."""
    drawn: Markup
    """Peak of all processes beside that of the other stages."""
    finished: str
    code: str


@dataclass(frozen=True)
class Cost:
    """All stages, and their sum."""

    stages: Sequence[StageCost]
    total: str
    peak: str

    @property
    def is_known(self) -> bool:
        """Whether a stage has ended."""
        return any(stage.is_done for stage in self.stages)


def cost_of(run: RunDocuments) -> Cost:
    """Returns what the stages took, also of those that never finished."""
    names = [*STAGES, *(name for name, _ in run.manifest.at("stages").items() if name not in STAGES)][:12]
    taken = {name: run.manifest.at("stages", name, "seconds").number for name in names}
    peaks = {name: _peak(run, name) for name in names}
    known = [value for value in taken.values() if value is not None]
    most_memory = max((peak for peak in peaks.values() if peak is not None), default=0.0)
    stages = []
    for name in names:
        record = run.manifest.at("stages", name)
        memory = [size(record.at("peak_bytes", process).number) for process in _PROCESSES]
        time, peak = taken[name], peaks[name]
        stages.append(
            StageCost(
                name=name,
                is_done=bool(record),
                seconds=seconds(time),
                share=Markup("") if time is None else bar(time, max(known), f"{name}: {seconds(time)}"),
                memory=[size(peak), *memory[1:]],
                drawn=Markup("") if peak is None else bar(peak, most_memory, f"{name}: {size(peak)}", "second"),
                finished=moment(record.at("finished_at").moment),
                code=short(record.at("code_version").text),
            )
        )
    return Cost(stages, seconds(sum(known)) if known else MISSING, size(most_memory) if most_memory else MISSING)


def short(code: str | None) -> str:
    """Returns a code version with the first digits of its commit."""
    if code is None:
        return MISSING
    commit, plus, rest = code.partition("+")
    return f"{commit[:10]}{plus}{rest}"


def _peak(run: RunDocuments, name: str) -> float | None:
    """Returns the peak of all processes; older runs have only that of each kind, whose sum it may not exceed."""
    peaks = run.manifest.at("stages", name, "peak_bytes")
    kinds = [found for process in _PROCESSES[1:] if (found := peaks.at(process).number) is not None]
    total = peaks.at("total").number
    return total if total is not None else sum(kinds) if kinds else None
