"""`--dry-run`: which partitions a run would read, from their names and Parquet footers alone."""

from conf.environment import Environment
from conf.load import load_settings
from jobs.arguments import Arguments
