"""Draws dashboards without a Grafana: their queries, asked of a Prometheus, as one page."""
