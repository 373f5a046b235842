"""From datasets to interactions: windows, reading rules, daily partials, splits."""
