"""Exact top-N against the speed of others and of the bare matrix product; see `__main__`."""
