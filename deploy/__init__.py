"""Runs the product on one machine: servers, the demo, and the checks before an installation."""
