"""Datasets → daily partials → interactions, exclusions, sources, and the temporal split: pure DataFrame → DataFrame."""
