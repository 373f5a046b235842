"""The records of experiments: `$DISCOVERY_HOME/experiments/PRODUCT/NAME/experiment.json`.

What is measured of an experiment lies beside its record.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import ValidationError

from conf.errors import Refused
from conf.experiment import Experiment
from jobs.storage.store import Storage

RECORD = "experiment.json"
OPENING = "_opening"
"""Folder of those who open one at this moment; no experiment has such a name."""


class ExperimentError(Refused):
    """Something about an experiment cannot be done as asked."""


class DamagedExperiment(ExperimentError):
    """The record of an experiment cannot be read."""


@dataclass(frozen=True)
class ExperimentStore:
    """The experiments of one product."""

    at: Storage
    product: str

    @classmethod
    def of(cls, home: Storage, product: str) -> "ExperimentStore":
        """Returns the store of a product."""
        return cls(home.child(f"experiments/{product}"), product)

    def folder(self, name: str) -> Storage:
        """Returns the folder of an experiment."""
        return self.at.child(name)

    def find(self, name: str) -> Experiment | None:
        """Returns an experiment; None if there is none of that name. Raises DamagedExperiment."""
        path = f"{name}/{RECORD}"
        if not self.at.exists(path):
            return None
        try:
            found = Experiment.model_validate_json(self.at.read_bytes(path))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            what = ": ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
            raise DamagedExperiment(
                f"{self.at.uri}/{path} cannot be read by this version ({what}); restore that file, or upgrade"
            ) from None
        if (found.product, found.name) != (self.product, name):
            raise DamagedExperiment(
                f"{self.at.uri}/{path} is the record of {found.name} of {found.product}; restore the file of {name}"
            )
        return found

    def get(self, name: str) -> Experiment:
        """Returns an experiment; raises ExperimentError if there is none of that name."""
        found = self.find(name)
        if found is None:
            there = ", ".join(one.name for one in self.read_all()) or "none"
            raise ExperimentError(f"there is no experiment {name!r:.300} of {self.product}; there are: {there}")
        return found

    def read_all(self) -> list[Experiment]:
        """Returns every experiment, in the order in which they were opened; raises DamagedExperiment."""
        names = [info.base_name for info in self.at.files()]
        found = (self.find(name) for name in names)
        return sorted((one for one in found if one is not None), key=lambda one: one.opened)

    def find_open(self) -> Experiment | None:
        """Returns the open experiment; None if there is none. Raises DamagedExperiment."""
        return next((one for one in self.read_all() if one.is_open), None)

    def add(self, experiment: Experiment) -> None:
        """Keeps a new experiment; raises ExperimentError if the name is taken, or another one is or is being opened."""
        with self._alone(experiment):
            if self.find(experiment.name) is not None:
                raise ExperimentError(f"there was an experiment {experiment.name} already; choose another name")
            other = self.find_open()
            if other is not None:
                raise ExperimentError(
                    f"experiment {other.name} of {self.product} is open since {other.opened:%F}, and one at a time can "
                    "be; close it first: discovery experiment close"
                )
            self._write(experiment)

    @contextmanager
    def _alone(self, experiment: Experiment) -> Iterator[None]:
        """Says that it is being opened, as long as it lasts; raises ExperimentError if another one says so, too.

        No storage is asked for a lock: whoever says so first and looks afterwards sees the other, or is seen.
        """
        own = f"{experiment.salt}.json"
        self.at.write_bytes(f"{OPENING}/{own}", experiment.model_dump_json(indent=1).encode())
        try:
            others = [info.base_name for info in self.at.files(OPENING) if info.base_name != own]
            if others:
                raise ExperimentError(
                    f"another experiment of {self.product} is being opened at this moment, so this one is not; see "
                    "discovery experiment status, and try again. If nobody opens one, that was interrupted: delete "
                    f"{self.at.uri}/{OPENING}/{others[0]}"
                )
            yield
        finally:
            self.at.delete(f"{OPENING}/{own}")

    def close(self, experiment: Experiment, at: dt.datetime, reason: str) -> Experiment:
        """Closes an open experiment. Returns its record."""
        closed = experiment.model_copy(update={"closed": at, "reason": reason})
        self._write(closed)
        return closed

    def _write(self, experiment: Experiment) -> None:
        self.at.write_bytes(f"{experiment.name}/{RECORD}", experiment.model_dump_json(indent=1).encode())
