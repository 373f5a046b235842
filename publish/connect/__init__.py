"""Clients of Kafka and Redis: made, checked, explained when they fail; topics and scripts."""
