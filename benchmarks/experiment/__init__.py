"""What the statistics of experiments promise, on generated users: `python -m benchmarks.experiment`."""
