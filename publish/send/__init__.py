"""Snapshot → Kafka."""
