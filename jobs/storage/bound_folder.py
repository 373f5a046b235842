"""The folder of a run: a stage reads what the stage before wrote there, or an error names what changed.

Every table and file that a finished stage wrote is bound by its SHA-256 in the stage's record in the manifest. Until
its stage is finished, a table is bound by its marker, which also names the run and the stage, and a document by a key
of its own. A table's digest is over the bytes of its files, so that Spark and pyarrow have the same one, whatever
columns a stage reads and whoever was forgotten since. It is compared before the stage reads the table for the first
time; when the stage finishes a table of its own, and when it ends, what it has read must be unchanged: files whose size
or time has changed meanwhile are hashed again. This protects against accidents and hand edits, not against somebody who
rewrites table, marker and manifest; the registry, outside of the folder, keeps the digests of both
(`jobs.stages.training.register`).
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyarrow import fs

from conf.digest import digest_of_json, sha256_of
from conf.errors import Refused
from jobs.storage.digests import Listing, digest_of_files, listing_of
from jobs.storage.store import MARKER, Storage

if TYPE_CHECKING:
    import pyarrow.dataset as ds

MANIFEST = "manifest.json"
"""The file that binds the others and itself: see `jobs.run.manifest`."""
_FROM = "made_by"
"""Key of a document that holds its run, stage and digest."""


class ChangedSince(Refused):
    """A table, file or manifest of a run is not what a stage wrote."""


@dataclass(frozen=True)
class StageOutput:
    """The stage that wrote a table or file, and its digest."""

    stage: str
    sha256: str


class BoundFolder(Storage):
    """The folder of one run; `outputs`: what its finished stages wrote, None for a run of code without digests."""

    def __init__(self, uri: str, run_id: str, outputs: Mapping[str, StageOutput] | None, *, remedy: str) -> None:
        """`remedy` is the advice in errors about something that changed."""
        super().__init__(uri)
        self._run_id = run_id
        self._remedy = remedy
        self._stage = ""
        self._outputs = None if outputs is None else dict(outputs)
        self._read: dict[str, tuple[Listing, str]] = {}
        self._written: dict[str, str] = {}
        self._beside: list[BoundFolder] = []

    def begin(self, stage: str) -> None:
        """Begins a stage: what is read and written from now on belongs to it."""
        self._stage = stage
        self._read.clear()
        self._written.clear()
        self._beside.clear()

    def depend_on(self, other: "BoundFolder") -> None:
        """Declares that the stage reads another run's folder, which must not change until the stage ends."""
        other.begin(self._stage)
        self._beside.append(other)

    def bind(self, stage: str, made: Mapping[str, str]) -> None:
        """Binds what a finished stage wrote by these digests."""
        if self._outputs is not None:
            self._outputs |= {name: StageOutput(stage, sha256) for name, sha256 in made.items()}

    def exists(self, path: str) -> bool:
        """Returns whether a file or folder is at `path`. Raises ChangedSince if a stage wrote one that is gone."""
        found = super().exists(path)
        if not found and (output := self._output(path)) is not None:
            raise self._changed(path, f"is gone; stage {output.stage} left one")
        return found

    def finished(self, table: str) -> bool:
        """Returns whether this run finished the table. Raises ChangedSince if a stage did and it is gone."""
        if self._outputs is None:
            return super().finished(table)
        output = self._output(table)
        if output is None:
            marker = self._marker(table)
            if marker and not self._is_ours(marker):
                raise self._changed(table, "is of no stage of that run")
            return bool(marker)
        if not super().finished(table):
            raise self._changed(table, f"is gone or unfinished now; stage {output.stage} left a finished one")
        return True

    def table(self, table: str) -> "ds.Dataset":
        """Returns a finished, unchanged Parquet table, lazily. Raises NotFinished, ChangedSince."""
        if self._outputs is not None and self.finished(table):
            self._check(table)
        return super().table(table)

    def read_bytes(self, path: str) -> bytes:
        """Returns a file; one of a finished stage must be unchanged. Raises FileNotFoundError, ChangedSince."""
        if self._output(path) is not None:
            return self.read_bound(path)
        return super().read_bytes(path)

    def read_bound(self, path: str) -> bytes:
        """Returns an unchanged file of a finished stage. Raises ChangedSince, also if no stage wrote it."""
        if self._outputs is None:
            return super().read_bytes(path)
        output = self._output(path)
        if output is None:
            raise self._changed(path, "is of no finished stage of that run")
        self.exists(path)
        content = super().read_bytes(path)
        if sha256_of(content) != output.sha256:
            raise self._changed(path, f"was changed since stage {output.stage} left it")
        return content

    def write_bytes(self, path: str, content: bytes) -> None:
        """Writes a file as a whole: a reader sees the old content or the new one."""
        super().write_bytes(path, content)
        self._written[path] = sha256_of(content)

    def write_document(self, path: str, content: Mapping[str, Any]) -> None:
        """Writes a JSON object that another attempt of this stage can read."""
        content = json.loads(json.dumps(content))
        sha256 = digest_of_json({**content, _FROM: self._seal})
        self.write_bytes(path, json.dumps({**content, _FROM: {**self._seal, "sha256": sha256}}, indent=1).encode())

    def read_document(self, path: str) -> dict[str, Any]:
        """Returns what `write_document` wrote in this stage. Raises FileNotFoundError, ChangedSince."""
        content, seal = dict[str, Any](), dict[str, str]()
        with suppress(ValueError, LookupError, TypeError):
            content = dict(json.loads(self.read_bytes(path)))
            seal = dict(content.pop(_FROM))
        if seal != {**self._seal, "sha256": digest_of_json({**content, _FROM: self._seal})}:
            raise self._changed(path, f"was changed since an attempt of stage {self._stage} wrote it")
        return content

    def delete(self, path: str) -> None:
        """Deletes a file or a folder with its content; does nothing if it does not exist."""
        self._read.pop(path, None)
        super().delete(path)

    def finish(self, table: str) -> None:
        """Writes the table's marker with its digest. Raises ChangedSince if something that the stage read changed."""
        self.check_again()
        super().finish(table)

    def check_again(self) -> None:
        """Raises ChangedSince if something that the stage has read changed since."""
        for table, (listing, sha256) in [*self._read.items()]:
            now = listing_of(self, table)
            if now != listing and digest_of_files(self, table, now) != sha256:
                raise self._changed(table, f"was changed while stage {self._stage} worked on it")
        for other in self._beside:
            other.check_again()

    def made(self) -> dict[str, str]:
        """Returns name → digest of every table and file of the stage. Raises ChangedSince like `check_again`."""
        self.check_again()
        found = {}
        for info in self.files():
            name = info.base_name
            if self._output(name) is not None:
                continue
            if info.type == fs.FileType.File and name.endswith(".json") and name != MANIFEST:
                found[name] = sha256_of(super().read_bytes(name))
                if found[name] != self._written.get(name, found[name]):
                    raise self._changed(name, f"was changed while stage {self._stage} worked on it")
            elif info.type == fs.FileType.Directory and self._is_ours(self._marker(name)):
                self._check(name)
                found[name] = self._read[name][1]
        return found

    def _output(self, name: str) -> StageOutput | None:
        return None if self._outputs is None else self._outputs.get(name)

    def _mark(self, table: str) -> bytes:
        listing = listing_of(self, table)
        sha256 = digest_of_files(self, table, listing)
        self._read[table] = listing, sha256
        return json.dumps({**self._seal, "sha256": sha256}).encode()

    @property
    def _seal(self) -> dict[str, str]:
        return {"run": self._run_id, "stage": self._stage}

    def _marker(self, table: str) -> dict[str, str]:
        """Returns the content of a table's marker; {}: the table is unfinished."""
        if not super().finished(table):
            return {}
        with suppress(ValueError, TypeError):
            return dict(json.loads(super().read_bytes(f"{table}/{MARKER}")))
        return {}

    def _is_ours(self, marker: Mapping[str, str]) -> bool:
        """Returns whether it is the marker of a table that this stage finished."""
        return marker.items() >= self._seal.items()

    def _check(self, table: str) -> None:
        """Raises ChangedSince unless the files of a finished table are unchanged."""
        listing = listing_of(self, table)
        if table in self._read and self._read[table][0] == listing:
            return
        sha256, output = digest_of_files(self, table, listing), self._output(table)
        if output is not None and sha256 != output.sha256:
            raise self._changed(table, f"was changed since stage {output.stage} left it")
        if output is None and sha256 != self._marker(table).get("sha256"):
            raise self._changed(table, f"was changed since an attempt of stage {self._stage} finished it")
        self._read[table] = listing, sha256

    def _changed(self, name: str, what: str) -> ChangedSince:
        kind = "file" if name.endswith(".json") else "table"
        return ChangedSince(f"{kind} {name!r} of run {self._run_id} {what} (in {self.uri}); {self._remedy}")
