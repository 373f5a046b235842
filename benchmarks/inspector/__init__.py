"""What the inspector's pages cost at the size of production, and what the same costs with whole tables in pandas."""
