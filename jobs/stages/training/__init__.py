"""The stage `train`: recipes are trained and judged, the winner is refit and registered."""
