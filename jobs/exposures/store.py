"""The files of landed exposures: `$DISCOVERY_HOME/exposures/PRODUCT/`.

    dt=YYYY-MM-DD/part-TOPIC-PARTITION-START-END.parquet   the answers of one day among these offsets
    _unusable/dt=…/part-….parquet                          records that cannot be read, with place and reason
    _landing/plan.json, state.json, report.json, lock

A file's name says which records it was made of, and nothing else decides its bytes, except for forgotten users, who are
left out. So a batch that was cut off is made again over what lies there.
"""

import datetime as dt
import fcntl
import io
import json
import os
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pydantic import ValidationError

from conf.base import Strict
from conf.errors import NotYet, Refused
from conf.windows import midnight
from jobs.exposures.state import Plan, Range, State
from jobs.storage.dataset_names import day_of, folder_of
from jobs.storage.store import MARKER, Storage

PLAN, STATE, REPORT = "_landing/plan.json", "_landing/state.json", "_landing/report.json"
UNUSABLE = "_unusable"
_LOCK = "_landing/lock"
_STALE_SECONDS = 900
"""Age from which another machine's lock in an object store is that of a landing that was killed."""
_SETTLE_SECONDS = 2.0
_ARRIVAL = dt.timedelta(minutes=15)
"""Time after a day's end from which its answers have arrived: services wait for the broker for less."""

T = TypeVar("T", bound=Strict)


class Damaged(Refused):
    """What a landing wrote down is gone or cannot be read."""


class LandingUnderWay(NotYet):
    """Another landing, or a deletion of a user, is at work on the same files."""


@dataclass(frozen=True)
class LandingStore:
    """The folder of one product's landed exposures."""

    at: Storage

    @classmethod
    def of(cls, home: Storage, product: str) -> "LandingStore":
        """Returns the store of a product."""
        return cls(home.child(f"exposures/{product}"))

    def state(self) -> State:
        """Returns what is known after the last finished batch; raises Damaged."""
        if self.at.exists(STATE):
            return self._parsed(STATE, State)
        if self.days():
            raise Damaged(
                f"{self.at.uri}/{STATE} is gone, and nobody knows what was landed; restore it from a copy, or move "
                "the whole folder away and land anew what the topic still has"
            )
        return State()

    def plan(self) -> Plan | None:
        """Returns the last batch that was decided; raises Damaged."""
        return self._parsed(PLAN, Plan) if self.at.exists(PLAN) else None

    def write_plan(self, plan: Plan) -> None:
        """Writes a batch down, before any of it is read."""
        self.at.write_bytes(PLAN, plan.model_dump_json(indent=1).encode())

    def write_state(self, state: State) -> None:
        """Writes the marker of a batch."""
        self.at.write_bytes(STATE, state.model_dump_json(indent=1).encode())

    def write_report(self, report: object) -> None:
        """Writes the report of a landing for later readers."""
        self.at.write_bytes(REPORT, json.dumps(report, indent=1, default=str).encode())

    def days(self, below: str = "") -> tuple[dt.date, ...]:
        """Returns the days that have a folder, the oldest first."""
        found = (day_of(info.base_name) for info in self.at.files(below) if info.type == fs.FileType.Directory)
        return tuple(sorted(day for day in found if day is not None))

    def folders(self) -> tuple[str, ...]:
        """Returns every folder with files of records: days, and days of unusable records."""
        return (
            *(folder_of(day) for day in self.days()),
            *(f"{UNUSABLE}/{folder_of(day)}" for day in self.days(UNUSABLE)),
        )

    def files(self, folder: str) -> tuple[str, ...]:
        """Returns the paths of the files of records in a folder, sorted."""
        names = (str(info.base_name) for info in self.at.files(folder))
        return tuple(f"{folder}/{name}" for name in names if name.endswith(".parquet"))

    def write_table(self, path: str, table: pa.Table) -> None:
        """Writes a file of records as a whole; the same table has the same bytes."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.at.write_bytes(path, buffer.getvalue())

    def read_table(self, path: str, columns: Collection[str] | None = None) -> pa.Table:
        """Returns a file of records; raises Damaged."""
        try:
            with self.at.open(path) as file:
                return pq.read_table(file, columns=None if columns is None else list(columns))
        except (OSError, pa.ArrowException) as error:
            raise Damaged(
                f"{self.at.uri}/{path} cannot be read ({error}); restore it from a copy, or delete it"
            ) from None

    def delete_attempt(self, plan: Plan, written: Collection[str]) -> None:
        """Deletes what an attempt at a batch that was cut off left, except for the files that were written again."""
        names = {file_name(plan.topic_id, piece) for piece in plan.ranges}
        for folder in self.folders():
            for path in self.files(folder):
                if path.rpartition("/")[2] in names and path not in written:
                    self.at.delete(path)

    def mark(self, day: dt.date) -> None:
        """Writes the marker of a day of which nothing more is expected; late records may still come."""
        if not self.at.finished(folder_of(day)):
            self.at.finish(folder_of(day))

    def is_marked(self, day: dt.date) -> bool:
        """Returns whether a day has its marker."""
        return self.at.exists(f"{folder_of(day)}/{MARKER}")

    @contextmanager
    def locked(self, *, wait_seconds: float = 0.0) -> Iterator[None]:
        """Keeps everybody else from changing the files; raises LandingUnderWay when that takes longer."""
        deadline = time.monotonic() + wait_seconds
        with self._local_lock(deadline) if self.at.local_path is not None else self._object_lock(deadline):
            yield

    @contextmanager
    def _local_lock(self, deadline: float) -> Iterator[None]:
        folder = self.at.local_path
        assert folder is not None
        path = folder / _LOCK
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            while True:  # the system lets go of it when the process ends, however it ends
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._wait(deadline)
            yield

    @contextmanager
    def _object_lock(self, deadline: float) -> Iterator[None]:
        """A file with owner and time, since these storages have no locks: safe unless two start within a second."""
        while self._is_held():
            self._wait(deadline)
        self.at.write_bytes(_LOCK, _owner(os.getpid()))
        time.sleep(_SETTLE_SECONDS)
        self._check_owner()
        try:
            yield
        finally:
            with suppress(OSError):
                self.at.delete(_LOCK)

    def keep_lock(self) -> None:
        """Says that the work goes on; raises LandingUnderWay if somebody held it for dead and took over."""
        if self.at.local_path is None:
            self._check_owner()
            self.at.write_bytes(_LOCK, _owner(os.getpid()))

    def _check_owner(self) -> None:
        if not self.at.exists(_LOCK) or self.at.read_bytes(_LOCK) != _owner(os.getpid()):
            raise self._under_way()

    def _is_held(self) -> bool:
        found = next((info for info in self.at.files("_landing") if info.base_name == "lock"), None)
        return found is not None and (found.mtime is None or time.time() - found.mtime.timestamp() < _STALE_SECONDS)

    def _wait(self, deadline: float) -> None:
        if time.monotonic() >= deadline:
            raise self._under_way()
        time.sleep(0.2)

    def _under_way(self) -> LandingUnderWay:
        return LandingUnderWay(
            f"{self.at.uri}: a landing, or the deletion of a user, is under way there; come back when it has ended"
        )

    def _parsed(self, path: str, kind: type[T]) -> T:
        try:
            return kind.model_validate_json(self.at.read_bytes(path))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise Damaged(
                f"{self.at.uri}/{path} cannot be read ({'.'.join(map(str, first['loc']))}: {first['msg']}); restore it "
                "from a copy; is it of a newer version? upgrade"
            ) from None


@cache
def _owner(pid: int) -> bytes:
    return f"{os.uname().nodename}:{pid}:{secrets.token_hex(8)}".encode()


def has_arrived(day: dt.date, moment: dt.datetime) -> bool:
    """Returns whether a landing that began at this moment has found all answers of a day, as far as can be expected."""
    return moment >= midnight(day) + dt.timedelta(days=1) + _ARRIVAL


def file_name(topic_id: str, piece: Range) -> str:
    """Returns the name of the files that hold the records of a range."""
    topic = topic_id.replace("/", "_").replace("+", "-")  # base64
    return f"part-{topic}-{piece.partition:04d}-{piece.start:012d}-{piece.end:012d}.parquet"
