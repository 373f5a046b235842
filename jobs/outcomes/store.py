"""The files of measured days: `$DISCOVERY_HOME/outcomes/PRODUCT/dt=YYYY-MM-DD/`.

    part-DIGEST.parquet   `contract.outcomes` of the answers of that day
    _record.json          the marker: the name of that file, what it was made of, what was left out

A day is made again by writing a file beside the old one, then the record: a reader who follows the record sees one of
them as a whole.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pydantic import AwareDatetime, ValidationError

from conf import contract
from conf.base import Strict
from conf.errors import Refused
from jobs.storage.dataset_names import days_among, folder_of
from jobs.storage.recorded_table import RECORD, read_recorded, write_recorded
from jobs.storage.store import Storage


class DamagedOutcomes(Refused):
    """A measured day cannot be read."""


class ServedThen(Strict):
    """What the pointer said during a part of the day."""

    since: AwareDatetime
    until: AwareDatetime | None
    treatment: str | None
    control: str | None
    share_bp: int


class LeftOut(Strict):
    """What was left out because its user was a robot on the day."""

    users: int = 0
    answers: int = 0
    events: int = 0


class Record(Strict):
    """The record of one measured day."""

    format: int = 1
    day: dt.date
    file: str
    sha256: str
    rows: int
    through: dt.date
    """Last day whose events were there."""
    mature: bool
    """Whether no further event can count."""
    inputs: str
    """Digest of the partitions that it was made of."""
    settings_hash: str
    bases: Mapping[str, int]
    """Basis → answers or impressions of the day."""
    new_is_known: bool
    """Whether the days before were there, so that new engagements are told from old ones."""
    robots: Mapping[str, LeftOut]
    """Basis → what was left out."""
    served: tuple[ServedThen, ...]
    """The pointer's changes that held on the day; empty: not known."""
    at: tuple[int, ...]
    """Places k of `hits_at`."""
    swaps: Mapping[str, Mapping[str, int]] = {}
    """Basis → group of users, place, other place → hits at the place whose source was at the other a week apart."""
    shadow: Mapping[str, bool | None] = {}
    """Run of the treatment on the day → whether it has shadow lists; None: its folder is deleted."""


@dataclass(frozen=True)
class OutcomeStore:
    """The measured days of one product."""

    at: Storage

    @classmethod
    def of(cls, home: Storage, product: str) -> "OutcomeStore":
        """Returns the store of a product."""
        return cls(home.child(f"outcomes/{product}"))

    def records(self) -> dict[dt.date, Record]:
        """Returns the records of measured days, the oldest first; raises DamagedOutcomes."""
        days = sorted(days_among(self.at.files()))
        return {day: record for day in days if (record := self.record(day)) is not None}

    def table(self, record: Record) -> pa.Table:
        """Returns the figures of a day; raises DamagedOutcomes."""
        path = f"{folder_of(record.day)}/{record.file}"
        table = read_recorded(self.at, path, record.sha256)
        if table is None:
            raise DamagedOutcomes(f"{self.at.uri}/{path} is gone or was changed; {_again(record.day)}")
        return table

    def write(self, record: Record, table: pa.Table) -> Record:
        """Writes a day as a whole; returns the record with file and digest. Equal tables have equal bytes."""
        return write_recorded(self.at, folder_of(record.day), table, record)

    def record(self, day: dt.date) -> Record | None:
        """Returns the record of a day; None if it is not measured. Raises DamagedOutcomes."""
        path = f"{folder_of(day)}/{RECORD}"
        if not self.at.exists(path):
            return None
        try:
            return Record.model_validate_json(self.at.read_bytes(path))
        except ValidationError:
            raise DamagedOutcomes(f"{self.at.uri}/{path} cannot be read by this version; {_again(day)}") from None


def sorted_table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Returns rows as `contract.outcomes`, in the order of its keys; what is not known comes first."""
    keys = ("basis", "arm", "run", "by", "value")

    def order(row: Mapping[str, object]) -> list[tuple[bool, str]]:
        values = [row[key] for key in keys]
        place = row["value"] if row["by"] == "position" else None
        texts = [(value is not None, "" if value is None else str(value)) for value in values]
        return [*texts[:-1], (True, f"{int(str(place)):06d}") if place is not None else texts[-1]]

    return pa.Table.from_pylist(sorted(rows, key=order), schema=contract.outcomes())


def _again(day: dt.date) -> str:
    return f"delete that folder, and measure it again: jobs/measure_outcomes.py --day {day}"
