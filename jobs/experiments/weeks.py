"""What is measured of an experiment, in its folder:

    weeks/week=N/part-….parquet        `contract.experiment_weeks`: rows of users, until the experiment has ended
    weeks/_records/N.json              the marker of a week: what it was made of
    sums/week-NN/part-DIGEST.parquet   `contract.experiment_sums` of weeks 0 … N: no user can be told from them
    sums/week-NN/_record.json          the marker: the name of that file, what it was made of, counts

Week 0 is the time before the experiment.
"""

import datetime as dt
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import AwareDatetime, ValidationError

from conf import contract
from conf.base import Strict
from conf.ids import UserId
from conf.share import Share
from conf.windows import midnight
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.storage.recorded_table import RECORD, read_recorded, write_record, write_recorded
from jobs.storage.store import Storage
from models.experiment.moments import Moments, Slice

WEEKS, SUMS = "weeks", "sums"


class DamagedSums(ExperimentError):
    """What was measured of an experiment cannot be read."""


class WeekRecord(Strict):
    """The record of what users did in one week."""

    number: int
    first: dt.date
    last: dt.date
    through: dt.date
    """Last day whose events were there."""
    mature: bool
    """Whether no late event can count any more."""
    rules: str
    """Digest of the settings that decide what counts."""
    inputs: str
    """Digest of the partitions that it was made of."""
    basis: str
    """What answers are: exposures, or impressions where that is all."""
    audience: str
    """Where its audience is from."""
    new_is_known: bool
    """Whether the days before were there, so that new engagements are told from old ones."""


class ShareThen(Strict):
    """What the pointer said during a part of a week."""

    since: AwareDatetime
    until: AwareDatetime | None
    treatment: str | None
    control: str | None
    share_bp: int
    ours: bool
    """Whether arms were drawn by the experiment's salt; else the share says nothing about it."""

    @property
    def treated_bp(self) -> int:
        """Share of the users who were treated: of nobody without a run."""
        return self.share_bp if self.treatment is not None else 0


class WeekOfSums(Strict):
    """One week of an experiment, as it was when it was summed."""

    number: int
    first: dt.date
    last: dt.date
    through: dt.date
    mature: bool
    new_is_known: bool
    basis: str
    audience: str
    served: tuple[ShareThen, ...]
    """The pointer's changes that held in the week, the oldest first."""
    share_bp: int | None
    """Share that held for the longest part of it by the experiment's salt; None: none did, or it is week 0."""


class CountsOfSlice(Strict):
    """Users of one slice of the hash, by week from 0 on."""

    low_bp: int
    high_bp: int
    first_seen: tuple[int, ...]
    """Answered for the first time in the experiment: whether in the audience or not, robots too."""
    joined: tuple[int, ...]
    """In the audience for the first time, robots too."""
    robots: tuple[int, ...]
    """Users of the audience who are in no sum, by the first week in which they were robots."""


class SumsRecord(Strict):
    """The record of the sums after one week."""

    format: int = 1
    product: str
    experiment: str
    salt: str
    file: str = ""
    sha256: str = ""
    inputs: str
    """Digest of all weeks, of forgotten users, and of the slices."""
    weeks: tuple[WeekOfSums, ...]
    """Week 0, then every week that was over."""
    slices: tuple[CountsOfSlice, ...]
    metrics: tuple[str, ...]
    categories_left_out: int
    """Categories of which there are no sums, because there were too many."""
    final: bool = False
    """Whether the experiment has ended, and rows of users are deleted."""

    @property
    def week(self) -> int:
        """The newest week."""
        return self.weeks[-1].number


class ArmsOfWeek(NamedTuple):
    """Users of one week: what `models.experiment.mismatch.FirstSeen` is made of, which takes long to import."""

    share_bp: int
    treated: int
    control: int


@dataclass(frozen=True)
class WeekStore:
    """What is measured of one experiment."""

    at: Storage

    @classmethod
    def of(cls, experiments: ExperimentStore, name: str) -> "WeekStore":
        """Returns the store of an experiment."""
        return cls(experiments.folder(name))

    @property
    def has_users(self) -> bool:
        """Whether there are rows of users."""
        return self.at.exists(WEEKS)

    def weeks(self) -> dict[int, WeekRecord]:
        """Returns the records of weeks of which there are rows of users. A record that cannot be read is none."""
        found = {}
        for info in self.at.files(f"{WEEKS}/_records"):
            try:
                content = self.at.read_bytes(f"{WEEKS}/_records/{info.base_name}")
                record = WeekRecord.model_validate_json(content)
            except (ValidationError, FileNotFoundError):
                continue
            found[record.number] = record
        return dict(sorted(found.items()))

    def forget_week(self, number: int) -> None:
        """Deletes the rows of a week, its marker first."""
        self.at.delete(f"{WEEKS}/_records/{number}.json")
        self.at.delete(_folder(number))

    def mark_week(self, record: WeekRecord) -> None:
        """Writes the marker of a week."""
        self.at.write_bytes(f"{WEEKS}/_records/{record.number}.json", record.model_dump_json(indent=1).encode())

    def week_paths(self, numbers: Collection[int]) -> list[str]:
        """Returns the folders of weeks in which anybody did anything."""
        return [folder for number in sorted(numbers) if self.at.exists(folder := _folder(number))]

    def scrub(self, users: Collection[UserId]) -> int:
        """Deletes the rows of these users from all weeks; returns how many that were. May be repeated."""
        paths = [path for path, _ in self.at.tree(WEEKS) if path.endswith(".parquet") and not path.startswith("_")]
        return sum(self._scrub_file(f"{WEEKS}/{path}", users) for path in paths)

    def delete_users(self) -> None:
        """Deletes all rows of users."""
        self.at.delete(WEEKS)

    def sums(self) -> dict[int, SumsRecord]:
        """Returns the records of sums by their newest week; raises DamagedSums."""
        names = (str(info.base_name) for info in self.at.files(SUMS))
        found = (self._sums_record(name) for name in names)
        return {record.week: record for record in found if record is not None}

    def table(self, record: SumsRecord) -> pa.Table:
        """Returns the sums of a record; raises DamagedSums."""
        path = f"{_sums_folder(record.week)}/{record.file}"
        table = read_recorded(self.at, path, record.sha256)
        if table is None:
            raise DamagedSums(f"{self.at.uri}/{path} is gone or was changed; restore it from a copy{_again(record)}")
        return table

    def moments(self, record: SumsRecord, metrics: Collection[str]) -> dict[str, dict[Slice, Moments]]:
        """Returns metric → slice → sums, of those of these metrics that are there; raises DamagedSums."""
        found: dict[str, dict[Slice, Moments]] = {}
        wanted = pc.field("metric").isin(pa.array(list(metrics), pa.string()))  # a list of none would have no type
        for row in self.table(record).filter(wanted).to_pylist():
            part = Slice(row["low_bp"], row["high_bp"])
            found.setdefault(row["metric"], {})[part] = Moments.from_bytes(row["moments"])
        return found

    def write_sums(self, record: SumsRecord, rows: Sequence[Mapping[str, object]]) -> SumsRecord:
        """Writes sums as a whole; returns the record with file and digest. Equal rows have equal bytes."""
        table = pa.Table.from_pylist(list(rows), schema=contract.experiment_sums())
        return write_recorded(self.at, _sums_folder(record.week), table, record)

    def mark_final(self, record: SumsRecord) -> SumsRecord:
        """Says that these sums are the last ones."""
        record = record.model_copy(update={"final": True})
        write_record(self.at, _sums_folder(record.week), record)
        return record

    def _sums_record(self, name: str) -> SumsRecord | None:
        path = f"{SUMS}/{name}/{RECORD}"
        if not self.at.exists(path):
            return None
        try:
            return SumsRecord.model_validate_json(self.at.read_bytes(path))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise DamagedSums(
                f"{self.at.uri}/{path} cannot be read by this version ({'.'.join(map(str, first['loc']))}: "
                f"{first['msg']}); restore it from a copy, or upgrade"
            ) from None

    def _scrub_file(self, path: str, users: Collection[UserId]) -> int:
        try:
            with self.at.open(path) as file:
                table = pq.read_table(file)
        except FileNotFoundError:  # the week is being made again; whoever does that looks for forgotten users himself
            return 0
        theirs = pc.is_in(table["user_id"], pa.array(list(users), table["user_id"].type))
        left = table.filter(pc.invert(theirs))
        number = int(table.num_rows - left.num_rows)
        if not number:
            return 0
        folder, _, name = path.rpartition("/")
        self.at.delete(f"{folder}/.{name}.crc")  # Spark's checksum of the old bytes
        buffer = io.BytesIO()
        pq.write_table(left, buffer, compression="zstd")
        self.at.write_bytes(path, buffer.getvalue())
        return number


def arms_by_week(record: SumsRecord, counts: Literal["first_seen", "joined", "robots"]) -> list[ArmsOfWeek]:
    """Returns a count of users of each week from 1 on, by arm."""
    found = []
    for week in record.weeks[1:]:
        share = week.share_bp or 0
        by_slice = [(one.high_bp <= share, getattr(one, counts)[week.number]) for one in record.slices]
        treated, control = (sum(users for is_treated, users in by_slice if is_treated is arm) for arm in (True, False))
        found.append(ArmsOfWeek(share, treated, control))
    return found


def notes_on(record: SumsRecord) -> list[str]:
    """Returns what must be known before weeks are compared."""
    notes = [] if any(sum(one.first_seen) for one in record.slices) else ["nobody was answered yet"]
    for week in record.weeks[1:]:
        if week.share_bp is None:
            notes.append(f"week {week.number}: no run of the experiment served; nobody was treated, as far as is known")
        elif week.share_bp == 0:
            notes.append(f"week {week.number}: share 0 %, nobody was treated")
        elif week.share_bp == 10_000:
            notes.append(f"week {week.number}: share 100 %, there is no control")
        if len(held := shares_in(week)) > 1 and week.share_bp is not None:
            several = ", then ".join(f"{Share(share)} for {_length(time)}" for share, time in held)
            notes.append(f"week {week.number}: the share was {several}; counted as {Share(week.share_bp)}")
        if not week.mature:
            notes.append(f"week {week.number}: events up to {week.through}, late ones may come")
    return notes


def shares_in(week: WeekOfSums) -> list[tuple[int, dt.timedelta]]:
    """Returns the shares of treated users in a week, by the experiment's salt, and how long each held, in order."""
    start, end = midnight(week.first), midnight(week.last + dt.timedelta(days=1))
    found: list[tuple[int, dt.timedelta]] = []
    for then in (one for one in week.served if one.ours):
        time = min(then.until or end, end) - max(then.since, start)
        before = found.pop()[1] if found and found[-1][0] == then.treated_bp else dt.timedelta()
        found.append((then.treated_bp, before + time))
    return found


def _length(time: dt.timedelta) -> str:
    """E.g. "6.8 days", "3 h", "20 min"."""
    days, hours = time / dt.timedelta(days=1), time / dt.timedelta(hours=1)
    if days >= 1:
        return f"{days:.1f} days".replace(".0", "") if round(days, 1) != 1 else "1 day"
    return f"{hours:.0f} h" if hours >= 1 else f"{60 * hours:.0f} min"


def forget_weeks(experiments: ExperimentStore, users: Collection[UserId]) -> int:
    """Deletes what users did in the weeks of every experiment; returns how many rows that were."""
    stores = (WeekStore(experiments.at.child(info.base_name)) for info in experiments.at.files())
    return sum(store.scrub(users) for store in stores)


def _folder(number: int) -> str:
    return f"{WEEKS}/week={number}"


def _sums_folder(week: int) -> str:
    return f"{SUMS}/week-{week:02d}"


def _again(record: SumsRecord) -> str:
    if record.final:
        return ""
    last = record.weeks[-1].last
    return f", or delete that folder and make them again: jobs/measure_outcomes.py --day {last}"
