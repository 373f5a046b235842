"""Statistics of days, snapshots and runs, what their own past allows, and what lies outside."""
