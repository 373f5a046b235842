"""Why: what a run knows of a user, for `discovery explain` and the inspector's pages; only reads."""
