"""Sends a snapshot's lists to Kafka."""
