"""Kafka → Redis: the loader service."""
