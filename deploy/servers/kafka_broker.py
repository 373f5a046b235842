"""A real single-node Kafka broker (KRaft: broker and controller in one process) on loopback ports."""

import base64
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from conf.digest import sha256_of
from deploy.servers.errors import ServerStartFailed
from deploy.servers.java import Java, find_java
from deploy.servers.kafka_jars import cache_folder, ensure_jars, kafka_folder
from deploy.servers.ports import LOOPBACK, answers
from deploy.servers.server import EmbeddedServer

_FAST_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # starts in half the time, costs twice the CPU later
_FORMATTED = "formatted"
"""The file that says that the folder was made ready, so that a broker has run in it."""
_SESSION_MS, _SHORT_SESSION_MS = 18_000, 3_000

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=BROKER://{host}:{broker},CONTROLLER://{host}:{controller}
advertised.listeners=BROKER://{host}:{broker}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller}
log.dirs=data
auto.create.topics.enable=false
# One node: no replicas, few partitions of Kafka's own topics, no waiting for other group members.
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A small heap.
log.cleaner.dedupe.buffer.size=16777216
broker.session.timeout.ms={session}
broker.heartbeat.interval.ms=500
"""


class KafkaBroker(EmbeddedServer):
    """A Kafka broker that creates no topics by itself.

    `fast_start` suits tests; benchmarks turn it off, because it trades the JVM's best compiler for a quick start.
    """

    name = "kafka"
    port_count = 2  # clients, controller

    def __init__(
        self,
        folder: Path,
        *,
        fast_start: bool = True,
        heap_mb: int = 512,
        cache: Path | None = None,
        detached: bool = False,
        start_seconds: float = 180,
    ) -> None:
        super().__init__(folder, detached=detached, start_seconds=start_seconds, stop_seconds=30)
        self._fast_start = fast_start
        self._heap_mb = heap_mb
        self._cache = cache_folder() if cache is None else cache
        self._java: Java | None = None
        self._jars: tuple[Path, ...] = ()
        self._new_archive = self.folder / "classes.jsa"

    @property
    def bootstrap(self) -> str:
        """The address for Kafka clients."""
        return f"{LOOPBACK}:{self.ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        """KAFKA_BOOTSTRAP_SERVERS."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap}

    def stop(self) -> None:
        """Stops the broker and keeps the class archive that its JVM may have written while it ended."""
        super().stop()
        if self._new_archive.exists():
            unfinished = self._archive().with_suffix(f".{os.getpid()}")
            shutil.move(self._new_archive, unfinished)
            unfinished.replace(self._archive())

    def kill(self) -> None:
        """Ends the broker with SIGKILL, as a crash would."""
        super().kill()
        self._new_archive.unlink(missing_ok=True)

    def _prepare(self) -> None:
        self._find_kafka()
        self._new_archive.unlink(missing_ok=True)
        (self.folder / "server.properties").write_text(self._properties())
        formatted = self.folder / _FORMATTED
        if not formatted.exists():
            self._format()
            formatted.touch()

    def _properties(self) -> str:
        """Returns the text of server.properties."""
        # A restart after kill -9 must not wait long for the old session to end. Before the first one, a broker that
        # stood still for that long would, for a moment, be none on which a topic can be made.
        session = _SHORT_SESSION_MS if (self.folder / _FORMATTED).exists() else _SESSION_MS
        return _PROPERTIES.format(host=LOOPBACK, broker=self.ports[0], controller=self.ports[1], session=session)

    def _command(self) -> list[str | Path]:
        heap = f"-Xmx{self._heap_mb}m"
        options = [heap, "-Dlog4j2.level=WARN", "-XX:+ExitOnOutOfMemoryError", *self._archive_options()]
        jvm = _FAST_JVM if self._fast_start else ()
        return self._java_command(*jvm, *options, "kafka.Kafka", "server.properties")

    def _environ(self) -> Mapping[str, str]:
        return {**os.environ, "CLASSPATH": os.pathsep.join(map(str, self._jars))}

    def _is_ready(self) -> bool:
        if not answers(self.ports[0]):  # the client library would log every refused connection
            return False
        try:
            metadata = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=2)
        except KafkaException:
            return False
        return bool(metadata.brokers)

    def _find_kafka(self) -> None:
        if not self._jars:
            self._java = find_java()
            self._jars = ensure_jars(self._java, self._cache)

    def _java_command(self, *arguments: str) -> list[str | Path]:
        java = self._java or find_java()
        return [java.program, *arguments]

    def _format(self) -> None:
        # 16 bytes that do not begin with bits of "-", which the tool would take for an option.
        cluster = base64.urlsafe_b64encode(b"d" + secrets.token_bytes(15)).decode().rstrip("=")
        tool = ("kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted")
        command = self._java_command(*_FAST_JVM, *tool, "-t", cluster, "-c", "server.properties")
        done = subprocess.run(
            command, cwd=self.folder, env=self._environ(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ServerStartFailed(f"kafka could not format {self.folder}:\n{(done.stdout + done.stderr)[-2000:]}")

    def _archive_options(self) -> tuple[str, ...]:
        """Returns options that load the class archive, or make the first fast, attached broker write it (2 s)."""
        if self._archive().exists():
            return (f"-XX:SharedArchiveFile={self._archive()}", "-Xlog:cds=error")
        if self._fast_start and not self._detached:
            return (f"-XX:ArchiveClassesAtExit={self._new_archive}", "-Xlog:cds=error", "-Xlog:cds+dynamic=error")
        return ()

    def _archive(self) -> Path:
        """Returns the path of the class archive of exactly this Java and these jars; the JVM accepts no other."""
        java = self._java or find_java()
        identity = "\n".join([str(java.program), java.full_version, *map(str, self._jars)])
        return kafka_folder(self._cache) / f"classes-{sha256_of(identity)[:16]}.jsa"
