"""`jobs/tune_embeddings.py`: a search for better training settings, ending in a proposal."""
