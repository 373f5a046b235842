"""Drift: how many healthy weeks are stopped, and what of planted corruptions is."""
