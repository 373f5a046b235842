"""The look-up service beside a server that does nothing but a GET; replaced under load: docs/serve.md."""
