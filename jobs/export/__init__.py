"""Metrics for Prometheus that are read from durable state, so that a dead job still ages."""
