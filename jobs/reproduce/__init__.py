"""`discovery reproduce`: makes a run again from its manifest and compares the tables bit by bit."""
