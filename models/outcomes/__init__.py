"""Outcomes: what users did with their lists, and on which knowledge a figure about it rests."""
