"""Pieces of work whose records are files: a piece is done when its record exists, and is not done again then."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Pieces:
    """Numbered pieces of one kind in a folder: a record each, and a file of content where there is one."""

    folder: Path
    count: int

    def content(self, number: int) -> Path:
        """Returns the path of a piece's content."""
        return self.folder / f"{number:05}.parquet"

    @contextmanager
    def writing(self, number: int) -> Iterator[Path]:
        """Yields a path to write a piece's content to; it takes its place when the block ends without an error."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.content(number).with_suffix(".draft")
        yield draft
        draft.replace(self.content(number))

    def finish(self, number: int, record: Record) -> None:
        """Writes the record of a piece, whole or not at all: from now on it is done."""
        write_json(self._record(number), record)

    def record(self, number: int) -> Record | None:
        """Returns the record of a piece, or None if it is not done."""
        return read_json(self._record(number))

    def records(self) -> list[Record]:
        """Returns the records of the pieces that are done, in their order."""
        return [found for number in range(self.count) if (found := self.record(number)) is not None]

    def missing(self) -> list[int]:
        """Returns the numbers of the pieces that are not done."""
        return [number for number in range(self.count) if not self._record(number).exists()]

    def _record(self, number: int) -> Path:
        return self.folder / f"{number:05}.json"


def write_json(path: Path, content: Record) -> None:
    """Writes a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".json-draft")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def read_json(path: Path) -> Record | None:
    """Returns the content of a JSON file, or None if there is none."""
    try:
        content: Record = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content
