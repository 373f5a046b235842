"""A name that everything must be able to read and write."""

ODD = "odd *?[1]{a,b}\\ %41 %#&+=,;'\"`$~ü日"
"""In the name of a folder: what Spark takes for patterns, what URIs encode, and what ASCII has not."""
