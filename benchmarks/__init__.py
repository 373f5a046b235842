"""Measurements of the product beside other tools; nothing here is part of a run."""
