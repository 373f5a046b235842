"""Pages about a whole run: each is one HTML file with its drawings in it, which fetches nothing and runs no script."""
