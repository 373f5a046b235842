"""The modules of `python -m benchmarks.publish`."""
