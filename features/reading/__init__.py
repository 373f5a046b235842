"""Reads datasets: finds partitions, checks columns and rows, leaves out erased users."""
