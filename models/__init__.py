"""From interactions to lists: training, judging, ranking, rules on lists, the fallback list, and the registry."""
