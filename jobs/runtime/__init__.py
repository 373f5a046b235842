"""The process that works: log, Spark session, memory, versions and exit codes."""
