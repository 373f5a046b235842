"""The drift history of one product in a storage: what runs measured, their alarms, and what operators decided."""

import datetime as dt
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from conf.base import Strict
from conf.errors import Refused
from conf.experiment import CONTROL_SUFFIX
from expectations.drift.findings import Accepted, Alarm, Excluded
from expectations.drift.history import History, Measured, of_stored, to_table
from expectations.drift.sketch import Sketch, of_table
from expectations.drift.sketch import to_table as sketch_table
from jobs.storage.store import Storage
from publish.clock import utc_now

K = TypeVar("K")
D = TypeVar("D")
R = TypeVar("R")
T = TypeVar("T", bound=Strict)

KEPT_RUNS = 100
"""Runs whose numbers are read; older ones stay where they are."""
_PARTS = 2
"""Parts of a run that measure."""
_MEASURED, _SKETCHES, _ALARMS, _DECISIONS = "measured", "sketches", "alarms", "decisions"
_COMPARED_RUNS = 20
"""Latest runs whose snapshots a run may be compared with."""


def _every(key: str) -> bool:
    return True


class DamagedHistory(Refused):
    """A file of the drift history cannot be read."""


class Decisions(Strict):
    """What operators decided and did not take back, oldest first."""

    accepted: tuple[Accepted, ...] = ()
    excluded: tuple[Excluded, ...] = ()


class _Decision(Strict):
    accepted: Accepted | None = None
    excluded: Excluded | None = None
    undone: bool = False
    """True: the same decision, made before, no longer holds."""


@dataclass(frozen=True)
class DriftStore:
    """Files below `drift/PRODUCT/`, each written once and whole; a run that is repeated replaces its own.

    `measured/KEY.parquet` (expectations.drift.history.SCHEMA), `sketches/KEY.parquet` (…sketch.SCHEMA),
    `alarms/KEY.json`, `decisions/TIME.json`. A key is the id of a run and the part that measured, so that keys sort as
    runs do.
    """

    at: Storage
    arm: Callable[[str], bool] = _every
    """Whether the file of that key is read."""

    @classmethod
    def of(cls, home: Storage, product: str) -> "DriftStore":
        """Returns the store of a product."""
        return cls(home.child(f"drift/{product}"))

    def of_arm(self, control_since: dt.datetime | None) -> "DriftStore":
        """Returns the same store as the runs of one arm read it; control_since: None for treatments.

        Treatments read no controls. A control reads controls, and what came before its experiment was opened.
        """
        opened = "" if control_since is None else f"{control_since.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"

        def is_read(key: str) -> bool:
            is_control = CONTROL_SUFFIX in key
            return key < opened or is_control if opened else not is_control

        return replace(self, arm=is_read)

    def history(self, *, without: str = "") -> History:
        """Returns the numbers of the latest runs. `without`: a run whose own are left out. Raises DamagedHistory."""
        return History([self._read_table(_MEASURED, name, of_stored) for name in self._latest(_MEASURED, without)])

    def keep(self, key: str, measured: Iterable[Measured]) -> int:
        """Writes the numbers of one part of a run. Returns the number of bytes."""
        return self._write_table(f"{_MEASURED}/{key}.parquet", to_table(measured))

    def sketches(self, *, without: str = "") -> list[Sketch]:
        """Returns the sketches of the latest runs' snapshots. `without`: as in `history`. Raises DamagedHistory."""
        names = self._latest(_SKETCHES, without)[-_COMPARED_RUNS:]
        return [one for name in names for one in self._read_table(_SKETCHES, name, of_table)]

    def keep_sketches(self, key: str, sketches: Iterable[Sketch]) -> int:
        """Writes the sketches of a run's snapshots. Returns the number of bytes."""
        return self._write_table(f"{_SKETCHES}/{key}.parquet", sketch_table(sketches))

    def alarms(self, *, without: str = "") -> tuple[Alarm, ...]:
        """Returns the alarms of the latest runs, of the same days the newest one."""
        found: dict[tuple[str, str, tuple[dt.date, ...]], Alarm] = {}
        for name in self._latest(_ALARMS, without):
            for alarm in _parsed(self.at, f"{_ALARMS}/{name}", _Alarms).alarms:
                found[(alarm.subject, alarm.name, alarm.days)] = alarm
        return tuple(found.values())

    def keep_alarms(self, key: str, alarms: Sequence[Alarm]) -> None:
        """Writes the alarms of one part of a run, also if there are none: a repeated run may have had some."""
        self.at.write_bytes(f"{_ALARMS}/{key}.json", _Alarms(alarms=tuple(alarms)).model_dump_json(indent=1).encode())

    def decisions(self) -> Decisions:
        """Returns the decisions that hold; of levels those of the runs that are read, and of data."""
        accepted: dict[tuple[str, tuple[dt.date, ...], str | None], Accepted] = {}
        excluded: dict[tuple[str, dt.date], Excluded] = {}
        for name in self._names(_DECISIONS):
            one = _parsed(self.at, f"{_DECISIONS}/{name}", _Decision)
            if one.accepted and (one.accepted.run is None or self.arm(one.accepted.run)):
                key = one.accepted.name, one.accepted.days, one.accepted.run
                _keep_or_drop(accepted, key, one.accepted, undone=one.undone)
            if one.excluded:
                _keep_or_drop(excluded, (one.excluded.dataset, one.excluded.day), one.excluded, undone=one.undone)
        return Decisions(accepted=tuple(accepted.values()), excluded=tuple(excluded.values()))

    def decide(self, decision: Accepted | Excluded, *, undone: bool = False) -> None:
        """Keeps a decision, or that it no longer holds."""
        if isinstance(decision, Accepted):
            record = _Decision(accepted=decision, undone=undone)
        else:
            record = _Decision(excluded=decision, undone=undone)
        name = utc_now().strftime("%Y%m%dT%H%M%S.%fZ")
        self.at.write_bytes(f"{_DECISIONS}/{name}.json", record.model_dump_json(indent=1).encode())

    def _latest(self, folder: str, without: str) -> list[str]:
        """Returns the files of the latest runs, except for those of one run."""
        names = [
            name
            for name in self._names(folder)
            if self.arm(name) and not (without and name.startswith((f"{without}.", f"{without}{CONTROL_SUFFIX}.")))
        ]
        return names[-_PARTS * KEPT_RUNS :]

    def _names(self, folder: str) -> list[str]:
        """Returns the files of a folder, sorted; files that are being written are left out."""
        names: Iterator[str] = (str(info.base_name) for info in self.at.files(folder))
        return sorted(name for name in names if name.endswith((".json", ".parquet")))

    def _write_table(self, path: str, table: pa.Table) -> int:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.at.write_bytes(path, buffer.getvalue())
        return len(buffer.getvalue())

    def _read_table(self, folder: str, name: str, convert: Callable[[pa.Table], R]) -> R:
        try:
            return convert(pq.read_table(io.BytesIO(self.at.read_bytes(f"{folder}/{name}"))))
        except (pa.ArrowException, KeyError) as error:
            raise _damaged(self.at, f"{folder}/{name}", error) from None


class _Alarms(Strict):
    alarms: tuple[Alarm, ...] = ()


def _keep_or_drop(kept: dict[K, D], key: K, decision: D, *, undone: bool) -> None:
    if undone:
        kept.pop(key, None)
    else:
        kept[key] = decision


def _parsed(at: Storage, path: str, kind: type[T]) -> T:
    try:
        return kind.model_validate(json.loads(at.read_bytes(path)))
    except (ValueError, ValidationError) as error:
        raise _damaged(at, path, error) from None


def _damaged(at: Storage, path: str, error: Exception) -> DamagedHistory:
    first = next(iter(str(error).splitlines()), "")
    return DamagedHistory(
        f"{at.uri}/{path} cannot be read ({first}); restore it from a copy, or delete it: the history then lacks a run"
    )
