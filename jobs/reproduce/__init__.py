"""`discovery reproduce`: a run made once more from its manifest, and compared bit by bit."""
