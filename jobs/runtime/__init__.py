"""The process of a job: log, signals, memory, versions and exit codes."""
