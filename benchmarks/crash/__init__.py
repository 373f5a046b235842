"""The parts of `python -m benchmarks.crash`."""
