"""The lists of a run in Redis: loaded by atomic calls, read back, counted, priced."""
