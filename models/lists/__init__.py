"""Factors → lists: candidates, caps per category and owner, the fallback list."""
