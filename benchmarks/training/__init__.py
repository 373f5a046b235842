"""What training costs: iterations, warm starts, reading, the weekly refresh, aggregation and judging beside rivals."""
