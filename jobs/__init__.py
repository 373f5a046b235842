"""Entries for spark-submit, the stages of a run, the run folder, and the operator's command line."""
