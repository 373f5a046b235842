"""Experiments: their records, and how one is opened and closed."""
