"""Parsers for values on the benchmarks' command lines."""

import argparse


def positive(text: str) -> int:
    """Returns the text as an integer ≥ 1. Raises ArgumentTypeError below 1 and ValueError for other text."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def share(text: str) -> float:
    """Returns the text as a number from 0 to 1. Raises ArgumentTypeError beyond and ValueError for other text."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return number
