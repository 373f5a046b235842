"""A world too large for one go, ranked and published in pieces; see `__main__`."""
