"""The temporal split: a recipe is judged on days that its training does not see."""

import datetime as dt

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.contract import IdKind
from conf.errors import ConfigError
from conf.windows import Window
from features.interactions import FIXED_ONE
from features.schema import conform


def cut_of(as_of: dt.date, holdout_days: int) -> dt.date:
    """The first day that the judged training does not see: train < cut <= test < as_of."""
    return as_of - dt.timedelta(days=holdout_days)


def train_window(text: str, cut: dt.date) -> Window | None:
    """The window anchored at the cut and ending there at the latest; none where it has no day before the cut."""
    try:
        window = Window.parse(text, cut)
        return Window(window.start, min(window.end, cut))
    except ConfigError:  # "2026-11-10:3 days ago" has days today and none at an earlier cut
        return None


def holdout_of(pairs: DataFrame, train_exclusions: DataFrame, sources: DataFrame, ids: IdKind) -> DataFrame:
    """contract.holdout: pairs that weigh something in the hold-out days, are new to their user, and are eligible."""
    weight = (sf.col("fixed").cast("double") / FIXED_ONE).alias("weight")
    positive = pairs.where("fixed > 0").select("user_id", "source_id", weight)
    new = positive.join(train_exclusions, ["user_id", "source_id"], "left_anti")
    eligible = sources.where("eligible").select("source_id")
    return conform(new.join(eligible, "source_id", "left_semi"), contract.holdout(ids))
