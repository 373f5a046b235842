"""Entries for spark-submit, the run folder, and the operator's command line."""
