"""A small frozen data set on which every run's recipe is measured: "is it the code or the data?"."""

from models.golden.measure import GoldenMetrics, golden_metrics, golden_table

__all__ = ["GoldenMetrics", "golden_metrics", "golden_table"]
