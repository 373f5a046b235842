"""A real S3 server on loopback, S3Proxy: it checks signatures, and knows multipart uploads and conditional writes."""

from pathlib import Path
from urllib.parse import unquote

from deploy.servers.java import find_java
from deploy.servers.kafka_jars import cache_folder, ensure_jars
from deploy.servers.ports import LOOPBACK, answers
from deploy.servers.server import EmbeddedServer

LOCK_FILE = Path(__file__).with_name("s3-jars.lock")
S3A_LOCK_FILE = Path(__file__).with_name("s3a-jars.lock")
"""What Spark needs for s3a://: Hadoop's connector, its committers, and of the AWS SDK's bundle the parts in use."""
KEY, SECRET = "discovery-key", "discovery-secret"
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGING = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%thread %msg%n</pattern></encoder>
  </appender>
  <logger name="org.gaul.s3proxy.S3ProxyHandler" level="trace"/>
  <root level="warn"><appender-ref ref="OUT"/></root>
</configuration>
"""


class S3Server(EmbeddedServer):
    """S3 over HTTP whose objects are in memory, gone after a restart; its log has every request with its headers."""

    name = "s3"

    def __init__(self, folder: Path, *, cache: Path | None = None, start_seconds: float = 180) -> None:
        super().__init__(folder, start_seconds=start_seconds)
        self._cache = cache_folder() if cache is None else cache
        self._java, self._jars = Path("java"), tuple[Path, ...]()

    @property
    def url(self) -> str:
        """The address for clients of S3."""
        return f"http://{LOOPBACK}:{self.ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        """AWS_ENDPOINT_URL, region and keys; nobody asks Amazon's machines for others."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str) -> None:
        """Makes a bucket, unless it is there."""
        from pyarrow import fs  # here, because servers start faster without it

        filesystem = fs.S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            region="us-east-1",
            endpoint_override=self.url,
            allow_bucket_creation=True,
        )
        filesystem.create_dir(name)

    def requests(self) -> list[str]:
        """Returns `METHOD /bucket/key?query` of every request so far, and `copy SOURCE` where it was one for a copy."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            _, _, told = line.partition(" ")
            if told.startswith("request: "):
                method, url = told.rpartition("{")[2].split(" ")[:2]
                found.append(f"{method.partition('@')[0]} {unquote(url.removeprefix(self.url))}")
            elif told.startswith("header: x-amz-copy-source:"):
                found.append(f"copy {unquote(told.rpartition(' ')[2])}")
        return found

    def _prepare(self) -> None:
        java = find_java()
        self._java, self._jars = java.program, ensure_jars(java, self._cache, lock_file=LOCK_FILE)
        (self.folder / "log.xml").write_text(_LOGGING)
        (self.folder / "s3proxy.conf").write_text(
            f"s3proxy.endpoint=http://{LOOPBACK}:{self.ports[0]}\n"
            f"s3proxy.authorization=aws-v2-or-v4\ns3proxy.identity={KEY}\ns3proxy.credential={SECRET}\n"
            "jclouds.provider=transient-nio2\njclouds.identity=none\njclouds.credential=none\n"
        )

    def _command(self) -> list[str | Path]:
        log = f"-Dlogback.configurationFile={self.folder / 'log.xml'}"
        return [self._java, *_JVM, log, "-jar", *self._jars, "--properties", "s3proxy.conf"]

    def _is_ready(self) -> bool:
        return answers(self.ports[0])
