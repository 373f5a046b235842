"""The names of a run's stages, by which its manifest keeps their records."""

STAGES = ("features", "train", "topn", "publish", "serve")
"""In their order."""
