"""Turns datasets into interactions, exclusions, sources and the temporal split: pure DataFrame → DataFrame."""
