"""A real Prometheus on a loopback port."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from deploy.servers.errors import ServerBinaryNotFound, ServerError
from deploy.servers.ports import LOOPBACK
from deploy.servers.server import EmbeddedServer

_CONFIG = "prometheus.yml"
_DATA = "data"


class PrometheusServer(EmbeddedServer):
    """A Prometheus that scrapes loopback ports, or only answers from what was written into it before."""

    name = "prometheus"

    def __init__(
        self, folder: Path, *, scraped: Iterable[int] = (), seconds: float = 0.2, rules: Iterable[Path] = ()
    ) -> None:
        """`scraped` are ports that have /metrics, read every so many `seconds`; `rules` are files of rules."""
        super().__init__(folder)
        self._scraped, self._seconds, self._rules = tuple(scraped), seconds, tuple(rules)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        """PROMETHEUS_URL."""
        return {"PROMETHEUS_URL": self.url}

    def backfill(self, openmetrics: Path) -> None:
        """Writes samples of the past, each with its time; raises ServerError. To be called before it starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [
            _program("promtool"),
            "tsdb",
            "create-blocks-from",
            "--max-block-duration=1458h",  # it reads the file once a block
            "openmetrics",
            "-q",
            openmetrics,
            _DATA,
        ]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"promtool does not take {openmetrics}: {done.stderr.strip()[-500:]}")

    def _prepare(self) -> None:
        (self.folder / _CONFIG).write_text(
            json.dumps(  # which is YAML, too
                {
                    "global": {"scrape_interval": _milliseconds(self._seconds), "evaluation_interval": "1s"},
                    "rule_files": [str(file.absolute()) for file in self._rules],
                    "scrape_configs": [
                        {"job_name": f"port-{port}", "static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}]}
                        for port in self._scraped
                    ],
                }
            )
        )

    def _command(self) -> list[str | Path]:
        # A retention of a decade: blocks of backfilled weeks are not taken for outdated ones.
        return [
            _program("prometheus"),
            f"--config.file={_CONFIG}",
            f"--storage.tsdb.path={_DATA}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address={LOOPBACK}:{self.ports[0]}",
        ]

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, TimeoutError, ConnectionError):
            return False


def _milliseconds(seconds: float) -> str:
    return f"{round(1000 * seconds)}ms"


def _program(name: str) -> Path:
    """Returns a program of Prometheus'. Raises ServerBinaryNotFound."""
    found = shutil.which(name)
    if found is None:
        raise ServerBinaryNotFound(f"no {name} on this machine: install Debian's package prometheus")
    return Path(found)
