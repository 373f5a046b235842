"""Measures the cost of training: iterations, warm starts, reading, refresh, aggregation and judging."""
