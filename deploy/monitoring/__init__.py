"""What watches an installation: alert rules for Prometheus, and how they are tried."""
