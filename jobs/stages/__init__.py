"""The stages of a run, one function each, called by the entries in this order."""
