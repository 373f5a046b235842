"""A real Redis Cluster on loopback ports: masters, if asked for a replica of each, and what can befall them."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from deploy.servers.errors import ServerStartFailed
from deploy.servers.ports import LOOPBACK, is_free, reserve
from deploy.servers.redis_server import RedisServer
from deploy.servers.server import Startable

SLOTS = 16_384
_BUS = 10_000  # a node talks to the others on its port plus this
_PORTS = range(20_000, 22_700)  # so that the bus, too, stays below the ports of outgoing connections


class RedisCluster(Startable):
    """Nodes 0 … masters − 1 start as masters with equal shares of the slots; node masters + i replicates node i."""

    def __init__(self, folder: Path, *, masters: int = 3, replicas: bool = False, start_seconds: float = 180) -> None:
        self._masters = masters
        self._start_seconds = start_seconds
        settings = {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": "3000",
            "cluster-replica-no-failover": "yes",  # who takes over, and when, is said by `take_over`
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": "0",
            "repl-ping-replica-period": "1",
        }
        count = masters * (2 if replicas else 1)
        self.nodes = [RedisServer(folder / f"node-{number}", settings=settings) for number in range(count)]

    @property
    def url(self) -> str:
        """The address for `publish.connect.redis_clients.redis_client`."""
        return "redis+cluster://" + ",".join(f"{LOOPBACK}:{node.ports[0]}" for node in self.nodes)

    def start(self) -> None:
        """Starts the nodes, makes them one cluster and returns when each of them says that it is whole."""
        for node in self.nodes:
            _choose_port(node.folder)
            node.launch()
        for node in self.nodes:
            node.wait_until_ready()
        first, *others = self.nodes
        for node in others:
            with client_of(node) as client:
                client.execute_command("CLUSTER MEET", LOOPBACK, first.ports[0])
        for number, node in enumerate(self.nodes[: self._masters]):
            slots = range(number * SLOTS // self._masters, (number + 1) * SLOTS // self._masters)
            with client_of(node) as client:
                client.execute_command("CLUSTER ADDSLOTS", *slots)
        self._until(lambda: all(len(self._known_by(node)) == len(self.nodes) for node in self.nodes), "meet")
        for number, node in enumerate(self.nodes[self._masters :]):
            with client_of(node) as client:
                client.execute_command("CLUSTER REPLICATE", self.id_of(self.nodes[number]))
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Returns when every running node says that all slots are served and every replica follows its master."""
        running = [node for node in self.nodes if node.is_running]
        self._until(lambda: all(map(_is_whole, running)), "be whole")
        for node in running:  # now that they have met: one that stands still for a while is not dead
            with client_of(node) as client:
                client.config_set("cluster-node-timeout", 30_000)

    def id_of(self, node: RedisServer) -> str:
        """The name of a node within the cluster."""
        with client_of(node) as client:
            return str(client.execute_command("CLUSTER MYID").decode())

    def master_of(self, slot: int) -> RedisServer:
        """The node that serves a slot, as the running nodes see it."""
        with client_of(next(node for node in self.nodes if node.is_running)) as client:
            for first, last, (_, port, *_), *_ in client.execute_command("CLUSTER SLOTS"):
                if first <= slot <= last:
                    return next(node for node in self.nodes if node.ports[0] == port)
        raise ServerStartFailed(f"no node of the cluster serves slot {slot}")

    def replica_of(self, master: RedisServer) -> RedisServer:
        """The node that was given to this one as its replica, or the other way round."""
        number = self.nodes.index(master)
        return self.nodes[(number + self._masters) % len(self.nodes)]

    @contextmanager
    def cut_off(self, replica: RedisServer) -> Iterator[None]:
        """The replica gets nothing more from its master within the block, nor after it if it has become a master."""
        with client_of(replica) as client:
            client.config_set("masterauth", "wrong")  # refused by a master that wants no password
            with client_of(self.replica_of(replica)) as master:
                master.client_kill_filter(_type="replica")
            self._until(lambda: client.info("replication")["master_link_status"] == "down", "lose its master")
            yield
            client.config_set("masterauth", "")

    def take_over(self, replica: RedisServer) -> None:
        """Makes a replica the master of its master's slots, whatever it has of them, and waits until all know."""
        with client_of(replica) as client:
            client.execute_command("CLUSTER FAILOVER", "TAKEOVER")
            name = self.id_of(replica)
            self._until(lambda: client.info("replication")["role"] == "master", "take over")
        running = [node for node in self.nodes if node.is_running]
        self._until(lambda: all("master" in self._known_by(node)[name] for node in running), "take over")

    def move_slot(self, slot: int, target: RedisServer, *, after_each: Callable[[], None] = lambda: None) -> int:
        """Moves a slot key by key, as resharding does, calling `after_each`; returns the number of keys."""
        source = self.master_of(slot)
        theirs, ours, moved = self.id_of(target), self.id_of(source), 0
        with client_of(source) as giving, client_of(target) as taking:
            taking.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ours)
            giving.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", theirs)
            while keys := giving.execute_command("CLUSTER GETKEYSINSLOT", slot, 10):
                for key in keys:
                    giving.execute_command("MIGRATE", LOOPBACK, target.ports[0], key, 0, 5_000)
                    moved += 1
                    after_each()
            for node in (target, source, *self.nodes):
                with client_of(node) as client:
                    if client.info("replication")["role"] == "master":
                        client.execute_command("CLUSTER SETSLOT", slot, "NODE", theirs)
        return moved

    def stop(self) -> None:
        """Ends every node."""
        for node in self.nodes:
            node.kill()

    def _known_by(self, node: RedisServer) -> dict[str, str]:
        """Id → flags of every node that a node knows and thinks alive."""
        with client_of(node) as client:
            lines = client.execute_command("CLUSTER NODES").values()
            return {line["node_id"]: line["flags"] for line in lines if "handshake" not in line["flags"]}

    def _until(self, truth: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._start_seconds
        while not truth():
            if time.monotonic() > deadline:
                raise ServerStartFailed(f"the nodes of the cluster did not {what} in {self._start_seconds:g} s")
            time.sleep(0.05)


def client_of(node: RedisServer) -> redis.Redis:
    """A client of one node alone."""
    return redis.Redis(LOOPBACK, node.ports[0], socket_timeout=60)


def _is_whole(node: RedisServer) -> bool:
    with client_of(node) as client:
        info = client.execute_command("CLUSTER INFO")
        replication = client.info("replication")
    follows = replication["role"] == "master" or replication["master_link_status"] == "up"
    return bool(info["cluster_state"] == "ok" and follows)


def _choose_port(folder: Path) -> None:
    """Have the server remember a port whose neighbour for the bus is free as well."""
    ports = random.SystemRandom().sample(_PORTS, len(_PORTS))
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "ports").exists():
        port = next(port for port in ports if is_free(port) and is_free(port + _BUS) and reserve(port))
        (folder / "ports").write_text(f"{port}\n")
