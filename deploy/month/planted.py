"""What was planted: how many of the reactions of a week the effect of an experiment has made, or prevented."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.experiment import CONTROL_SUFFIX


def planted_reactions(truth: Path, days: Sequence[dt.date], effect: float, treated_users: int) -> float:
    """Returns the reactions per treated user that `effect`, a factor of attraction, has added in expectation.

    Counted are places with whose source the user did nothing by themselves later that day: the others are hits in any
    case. What follows from a reaction on later days is not in it.
    """
    shown = pa.concat_tables(pq.read_table(truth / "shown" / f"dt={day}" / "part-0.parquet") for day in days)
    treated = pc.invert(pc.ends_with(shown["run"], CONTROL_SUFFIX))
    counted = shown.filter(pc.and_(treated, pc.invert(shown["by_itself"])))
    expected = float(pc.sum(counted["probability"]).as_py() or 0.0)
    return expected * (1 - 1 / effect) / treated_users
