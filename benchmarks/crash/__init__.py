"""The modules of `python -m benchmarks.crash`."""
