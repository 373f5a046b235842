"""Look-ups of a user's list."""
