"""Times exact top-N beside other libraries and the bare matrix product; see `__main__`."""
