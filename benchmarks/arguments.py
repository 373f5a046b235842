"""Values of the benchmarks' command lines."""

import argparse


def positive(text: str) -> int:
    """Returns a whole number of at least 1; raises ArgumentTypeError."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
