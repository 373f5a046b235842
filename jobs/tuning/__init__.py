"""`jobs/tune_embeddings.py`: a search for better hyper-parameters, ending in a proposal."""
