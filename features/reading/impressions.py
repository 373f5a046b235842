"""Plans what is read of the dataset of what users were shown, by names, markers and footers only; without Spark.

No run reads it, and nothing here changes a list; what measures outcomes reads it for click-through rates
(`features.reading.impression_rows`).
"""

from conf.datasets import IMPRESSIONS, ImpressionDataset
from conf.ids import IdKind
from conf.windows import Window
from features.reading.catalog import Catalog
from features.reading.dataset import DatasetPlan, enforce_policy, plan_dataset
from features.reading.schema import INTEGER, TEXT, TIME, Field, check_fields, id_field


def impression_fields(dataset: ImpressionDataset, ids: IdKind) -> tuple[Field, ...]:
    """Returns the columns that the files must have: the needed ones, and optional ones that the settings name."""
    names = dataset.columns
    optional = (("position", names.position, INTEGER), ("run", names.run, TEXT), ("surface", names.surface, TEXT))
    return (
        id_field("user_id", names.user_id, ids),
        id_field("source_id", names.source_id, ids),
        Field("ts", names.ts, TIME),
        *(Field(name, column, kind) for name, column, kind in optional if column is not None),
    )


def check_impressions(dataset: ImpressionDataset, window: Window, ids: IdKind, catalog: Catalog) -> DatasetPlan:
    """Returns what a window would read, by names, markers and footers; raises FeaturesError for gaps and columns."""
    plan = plan_dataset(IMPRESSIONS, dataset, window, catalog)
    enforce_policy(plan, dataset)
    check_fields(IMPRESSIONS, impression_fields(dataset, ids), plan.found)
    return plan
