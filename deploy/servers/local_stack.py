"""A real Kafka broker and a real Redis server for one machine, without containers.

Attached, they live as long as a block of code; detached (`up`), until `down`:

    with LocalStack(home) as stack:
        run(env={**os.environ, **stack.environment()})

    python -m deploy.servers.local_stack up|down|status --home DIR

Errors are `deploy.servers.errors.StackError`.
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.servers.errors import StackError
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.processes import spawn
from deploy.servers.redis_server import RedisServer
from deploy.servers.server import EmbeddedServer, Startable
from deploy.servers.stack_file import Entry, StackFile

_LOG = logging.getLogger(__name__)
_NOT_RUNNING = 3  # the exit code that service managers use for it


class LocalStack(Startable):
    """A broker and a Redis whose data stay in `home`; both end with the process that started them."""

    def __init__(self, home: Path, *, fast_start: bool = True, maxmemory: str = "512mb") -> None:
        self.home = home.absolute()
        self.redis = RedisServer(self.home / "redis", maxmemory=maxmemory)
        self.broker = KafkaBroker(self.home / "kafka", fast_start=fast_start)

    def start(self) -> None:
        """Starts both at the same time and waits until both answer."""
        try:
            for server in (self.redis, self.broker):
                server.launch()
            for server in (self.redis, self.broker):
                server.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops the broker, then Redis."""
        try:
            self.broker.stop()
        finally:
            self.redis.stop()

    def environment(self) -> dict[str, str]:
        """Returns KAFKA_BOOTSTRAP_SERVERS and REDIS_URL."""
        return {**self.broker.environment, **self.redis.environment}


def up(home: Path, *, fast_start: bool = False, maxmemory: str = "512mb") -> tuple[Entry, ...]:
    """Starts detached the servers that do not run yet. Returns every live entry of `home`."""
    with StackFile.locked(home) as file:
        servers: list[EmbeddedServer] = [
            RedisServer(file.home / "redis", maxmemory=maxmemory, detached=True),
            KafkaBroker(file.home / "kafka", fast_start=fast_start, detached=True),
        ]
        missing = [server for server in servers if file.find(server.name) is None]
        try:
            for server in missing:
                server.launch()
                file = file.with_entry(_entry_of(server)).write()  # at once: what runs must be on record
            for server in missing:
                server.wait_until_ready()
        except BaseException:
            for server in missing:
                server.kill()
                file = file.without(server.name).write()
            raise
        return tuple(entry for entry in file.entries if entry.is_alive)


def down(home: Path) -> tuple[Entry, ...]:
    """Stops every detached process of `home`, the last started first. Returns those that were still alive."""
    with StackFile.locked(home) as file:
        ended = []
        for entry in reversed(file.entries):
            if entry.is_alive:
                _LOG.info("stopping %s (pid %d)", entry.name, entry.pid)
                entry.end()
                ended.append(entry)
            file = file.without(entry.name).write()
        return tuple(ended)


def status(home: Path) -> tuple[Entry, ...]:
    """Returns every recorded process of `home`, alive (`is_alive`) or not."""
    return StackFile.read(home).entries


def running_environment(home: Path) -> dict[str, str]:
    """Returns KAFKA_BOOTSTRAP_SERVERS and REDIS_URL of `home`. Raises StackError unless both servers run."""
    live = [entry for entry in status(home) if entry.is_alive]
    environment = {name: value for entry in live for name, value in entry.environment.items()}
    if not {"KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"} <= environment.keys():
        raise StackError(f"no broker and Redis run in {home}: start them with `make up`")
    return environment


def start_detached(home: Path, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path) -> Entry:
    """Starts a process that outlives this one and that `down` stops before the servers.

    `env` is added to this process's environment; the output is appended to `log`. When a process of that name runs
    already, its entry is returned and nothing is started.
    """
    with StackFile.locked(home) as file:
        if running := file.find(name):
            return running
        process = spawn(argv, cwd=None, env={**os.environ, **env}, log=log)
        entry = Entry.of_process(name, process.pid, folder=Path.cwd(), log=log.absolute(), environment={})
        file.with_entry(entry).write()
        return entry


def _entry_of(server: EmbeddedServer) -> Entry:
    return Entry.of_process(
        server.name, server.pid, folder=server.folder, log=server.log, environment=server.environment
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, 1 for an error, 3 when `status` finds something not running."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.servers.local_stack", description="Local Kafka broker and Redis."
    )
    parser.add_argument("command", choices=["up", "down", "status"])
    default_home = Path(os.environ.get("DISCOVERY_HOME", "work"))
    parser.add_argument("--home", type=Path, default=default_home, help="folder for data, logs and stack.json")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    commands: dict[str, Callable[[Path], int]] = {"up": _print_up, "down": _print_down, "status": _print_status}
    try:
        return commands[arguments.command](arguments.home)
    except StackError as error:
        print(f"local stack: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130


def _print_up(home: Path) -> int:
    before = {entry.name for entry in status(home) if entry.is_alive}
    for entry in up(home):
        _print_entry(entry, "already running" if entry.name in before else "started")
    return 0


def _print_down(home: Path) -> int:
    for entry in down(home):
        _print_entry(entry, "stopped")
    print(f"nothing runs in {home}")  # noqa: T201
    return 0


def _print_status(home: Path) -> int:
    entries = status(home)
    for entry in entries:
        _print_entry(entry, "running" if entry.is_alive else "gone")
    live = {entry.name for entry in entries if entry.is_alive}
    if {RedisServer.name, KafkaBroker.name} <= live and len(live) == len(entries):
        return 0
    print(f"not everything runs in {home}")  # noqa: T201
    return _NOT_RUNNING


def _print_entry(entry: Entry, state: str) -> None:
    where = " ".join(f"{name}={value}" for name, value in entry.environment.items())
    print(f"{entry.name}: {state} (pid {entry.pid}, log {entry.log}) {where}".rstrip())  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
