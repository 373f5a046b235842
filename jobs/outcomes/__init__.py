"""Measures what users did with their lists, day by day, and keeps it beside the runs."""
