"""Arrow, numpy and memory-mapped arrays, and maps from ids to rows."""
