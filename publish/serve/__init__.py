"""Look-ups over HTTP: docs/serve.md."""
