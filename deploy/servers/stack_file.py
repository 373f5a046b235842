"""`stack.json`: the detached processes of a home folder, so that a later command finds and ends them."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from deploy.servers.errors import StackFileError
from deploy.servers.processes import end_session, is_alive, start_time


@dataclass(frozen=True)
class Entry:
    """One detached process; `started` (seconds since the epoch) distinguishes it from a later one with the same pid."""

    name: str
    pid: int
    started: float
    folder: str
    log: str
    environment: dict[str, str]

    @classmethod
    def of_process(cls, name: str, pid: int, *, folder: Path, log: Path, environment: dict[str, str]) -> Self:
        """Makes the entry of a process that runs now."""
        return cls(name, pid, start_time(pid), str(folder), str(log), environment)

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return is_alive(self.pid, self.started)

    def end(self, *, seconds: float = 30) -> None:
        """Ends the process and its children; does nothing when it has gone already."""
        end_session(self.pid, self.started, seconds=seconds)


@dataclass(frozen=True)
class StackFile:
    """The entries of one home folder, in the order in which their processes started."""

    home: Path
    entries: tuple[Entry, ...] = ()

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.home / "stack.json"

    @classmethod
    def read(cls, home: Path) -> Self:
        """Reads the entries of the home folder, or none without a file. Raises StackFileError for another file."""
        empty = cls(home.absolute())
        try:
            recorded = json.loads(empty.path.read_text())["processes"]
            return replace(empty, entries=tuple(Entry(**entry) for entry in recorded))
        except FileNotFoundError:
            return empty
        except (ValueError, KeyError, TypeError) as error:
            raise StackFileError(
                f"{empty.path} is not a record of a local stack ({error!r}): end what still runs from "
                f"{empty.home} by hand and delete the file"
            ) from error

    @classmethod
    @contextmanager
    def locked(cls, home: Path) -> Iterator[Self]:
        """Reads the record and keeps other commands out until the block ends."""
        home.mkdir(parents=True, exist_ok=True)
        with (home / "stack.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield cls.read(home)

    def find(self, name: str) -> Entry | None:
        """Returns the live entry with that name, or None."""
        return next((entry for entry in self.entries if entry.name == name and entry.is_alive), None)

    def with_entry(self, entry: Entry) -> Self:
        """Returns a copy with the entry in the place of the one with the same name, or last."""
        if any(known.name == entry.name for known in self.entries):
            entries = tuple(entry if known.name == entry.name else known for known in self.entries)
        else:
            entries = (*self.entries, entry)
        return replace(self, entries=entries)

    def without(self, name: str) -> Self:
        """Returns a copy without the entry of that name."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.name != name))

    def write(self) -> Self:
        """Replaces the file as a whole, or deletes it when there are no entries."""
        if not self.entries:
            self.path.unlink(missing_ok=True)
            return self
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps({"processes": [asdict(entry) for entry in self.entries]}, indent=2) + "\n")
        draft.replace(self.path)
        return self
