"""Formats: announcement, records, encoded lists, Redis keys, digests. Imports no client."""
