"""Why a user has a list: arithmetic on arrays, importable without Spark; no I/O."""
