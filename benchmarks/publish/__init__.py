"""The parts of `python -m benchmarks.publish`."""
