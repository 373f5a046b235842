"""From interactions to lists: embeddings, ranking, rules, fallback, metrics."""
