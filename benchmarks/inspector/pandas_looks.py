"""The rival: what a page says, from whole tables read with pandas. A process that answers lines of JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.explain.world import BEFORE, PRODUCT, RUN

_NEAREST = 12


class Looks:
    """Looks at the made world below a work folder."""

    def __init__(self, home: Path) -> None:
        self._partials = home / "partials" / PRODUCT
        self._run, self._before = (home / "runs" / PRODUCT / run for run in (RUN, BEFORE))

    def user(self, user: int) -> list[int]:
        """Returns the user's list, after all else that a page says of them was looked up."""
        for table in ("interactions", "exclusions"):
            _of(pd.read_parquet(self._run / table), user)
        for day in sorted(self._partials.glob("*/*")):
            _of(pd.read_parquet(day), user)
        vector = _of(pd.read_parquet(self._run / "user_factors"), user)["factors"].iloc[0]
        scores = np.stack(pd.read_parquet(self._run / "source_factors")["factors"].tolist()) @ vector
        np.argsort(-scores)
        _of(pd.read_parquet(self._before / "lists"), user)
        return [int(one) for one in _of(pd.read_parquet(self._run / "lists"), user)["source_ids"].iloc[0]]

    def source(self, source: int) -> int:
        """Returns how many lists hold a source, after its holders' interactions and its neighbours were looked up."""
        lists = pd.read_parquet(self._run / "lists")
        at = np.flatnonzero(np.concatenate(lists["source_ids"].tolist()) == source)
        ends = np.cumsum(lists["source_ids"].map(len))
        rows = np.searchsorted(ends, at, side="right")
        pairs = pd.read_parquet(self._run / "interactions")
        pairs[pairs["user_id"].isin(lists["user_id"].iloc[rows[:2_000]])]["source_id"].value_counts()
        factors = np.stack(pd.read_parquet(self._run / "source_factors")["factors"].tolist())
        np.argsort(-(factors @ factors[source]) / np.linalg.norm(factors, axis=1))[:_NEAREST]
        return len(rows)

    def compare(self, _: int) -> float:
        """Returns the mean share of a list that is in the list of the run before."""
        old, new = (
            pd.read_parquet(run / "lists").set_index("user_id")["source_ids"] for run in (self._before, self._run)
        )
        both = old.to_frame("old").join(new.to_frame("new"), how="inner")
        shares = [
            len({*was} & {*now}) / max(len(was), len(now)) for was, now in zip(both["old"], both["new"], strict=True)
        ]
        return float(np.mean(shares))


def _of(rows: pd.DataFrame, user: int) -> pd.DataFrame:
    return rows[rows["user_id"] == user]


def main() -> None:
    """Answers until its input ends."""
    looks = Looks(Path(sys.argv[1]))
    for line in sys.stdin:
        page, about = json.loads(line)
        made: Any = getattr(looks, page)(about)
        sys.stdout.write(json.dumps(made) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
