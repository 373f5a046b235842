"""Runs the inspector's pages on a socket until stopped."""

import socket

import uvicorn

from jobs.inspector.app import Inspector, create_app
from jobs.inspector.guard import Guard


def serve(inspector: Inspector, listening: socket.socket, names: tuple[str, ...], *, any_address: bool) -> None:
    """Answers on a socket until SIGTERM or Ctrl-C; `names`: by which browsers may call it (`guard.Guard`)."""
    server_of(inspector, names, any_address=any_address).run(sockets=[listening])


def server_of(inspector: Inspector, names: tuple[str, ...], *, any_address: bool) -> uvicorn.Server:
    """Returns a server that ends when its `should_exit` is set."""
    config = uvicorn.Config(
        Guard(create_app(inspector), names, any_address=any_address),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,  # it would log users' ids; looks are logged by themselves
        proxy_headers=False,
        server_header=False,
        limit_concurrency=64,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)
