"""Lands what was answered: from the topic into dated Parquet files, exactly once."""
