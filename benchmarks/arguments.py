"""Parsers for values on the benchmarks' command lines."""

import argparse


def positive(text: str) -> int:
    """Returns the text as an integer ≥ 1. Raises ArgumentTypeError below 1 and ValueError for other text."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
