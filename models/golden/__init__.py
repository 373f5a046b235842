"""A small frozen data set on which every run measures its recipe: did the code change, or the data?"""

from models.golden.measure import GoldenMetrics, golden_metrics, golden_table

__all__ = ["GoldenMetrics", "golden_metrics", "golden_table"]
