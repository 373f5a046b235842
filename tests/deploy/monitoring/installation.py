"""A product on real servers that faults befall, and what Prometheus scrapes of it meanwhile."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from conf.connections import KafkaConnection, RedisConnection
from deploy.monitoring.alerts import read_alerts
from deploy.monitoring.promtool import STEP
from deploy.servers.redis_server import RedisServer
from expectations.report import Gate, GateReport
from jobs.export.collect import Exporter
from jobs.storage.gate_reports import report_file
from jobs.storage.stage_names import STAGES
from jobs.storage.store import Storage
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.connect.redis_clients import redis_client
from publish.errors import PublishError
from publish.load.loader import Loader
from publish.operate.control import Control
from publish.operate.rebuild import rebuild
from publish.operate.wait import RunEnding
from publish.read.reader import Reader
from publish.runs.run import RunState
from publish.runs.run_log import KafkaRunLog
from publish.wire.announcement import Announcement
from tests.deploy.monitoring.healthy import samples
from tests.jobs.export.full import settings_of, write_reports, write_run
from tests.publish.support.damages import Damage, whole
from tests.publish.support.promise import World
from tests.publish.support.pushing import ending_of, eventually, loading
from tests.publish.support.samples import Lists

READ = frozenset(metric for alert in read_alerts() for metric in re.findall(r"\bdiscovery_\w+", alert.expr))
"""Metrics that any rule reads."""
_TIME = re.compile(r"discovery_\w+_timestamp_seconds")
_ANSWERS = 300
"""Look-ups between two scrapes."""
PATIENT = {"stall_seconds": 900, "load_deadline_seconds": 3600}
"""As the YAML's defaults say."""


class Scraped(NamedTuple):
    """Series → value, when they were read, and whether callers got answers."""

    at: float
    series: dict[str, float]
    is_answered: bool

    @property
    def is_away(self) -> bool:
        """Whether Redis did not answer."""
        return self.series[_series("discovery_redis_up", {}, "")] == 0

    @property
    def is_unwell(self) -> bool:
        """Whether a loader backs off."""
        return any(value == 0 for name, value in self.series.items() if name.startswith("discovery_loader_healthy"))


class Installation:
    """One product with a loader, whose runs succeed every week until a fault befalls it."""

    def __init__(self, kafka: KafkaConnection, server: RedisServer, home: Path) -> None:
        self.kafka, self.server, self.home = kafka, server, Storage(str(home))
        self.url = RedisConnection.of(server.url)
        self.client, self._quick = redis_client(self.url, timeout=20), redis_client(self.url, timeout=1)
        self.world = World.new(kafka, self.client)
        self.product = self.world.product
        self.control = Control.connect(self.client, self.product, log=KafkaPointerLog(kafka))
        self._exporter = Exporter.of([settings_of(self.product)], self.home, self.url, seconds=60)
        self._loaders: dict[str, tuple[AbstractContextManager[Loader], Loader]] = {}
        self._runs = 0

    # What Prometheus sees

    def scrape(self) -> Scraped:
        """Returns what the exporter and the loaders say now, and asks for a list as a caller does."""
        at, found = time.time(), dict[str, float]()
        registries = [("", self._exporter)]
        registries += [(name, loader.metrics.registry) for name, (_, loader) in self._loaders.items()]
        for instance, registry in registries:
            for family in registry.collect():
                for one in family.samples:
                    if one.name in READ:
                        found[_series(one.name, one.labels, instance)] = one.value
        seen = Scraped(at, found, is_answered=False)
        return seen if seen.is_away else seen._replace(is_answered=self._is_answered())

    def scrape_until(self, truth: Callable[[Scraped], bool]) -> Scraped:
        """Returns the first scrape of which something is true: nothing changes at once, nor in the same moment."""
        found: list[Scraped] = []

        def is_true() -> bool:
            found.append(self.scrape())
            return truth(found[-1])

        eventually(is_true, seconds=60)
        return found[-1]

    def _is_answered(self) -> bool:
        try:
            Reader(self.client, self.product).lookup(1)
        except PublishError:
            return False
        return True

    # What goes on in it

    @property
    def loader(self) -> Loader:
        """The loader that is always there."""
        return self._loaders["a"][1]

    def start_loader(self, name: str = "a", kafka: KafkaConnection | None = None) -> Loader:
        """Starts a loader, with the broker unless told otherwise; returns it when it has found something out."""
        context = loading(kafka or self.kafka, self._quick, self.product)
        loader = context.__enter__()
        self._loaders[name] = context, loader
        return loader

    def stop_loader(self, name: str = "a") -> None:
        """Stops a loader, if it is there."""
        context, _ = self._loaders.pop(name, (None, None))
        if context is not None:
            context.__exit__(None, None, None)

    def is_unwell(self) -> bool:
        """Whether the loader backs off."""
        return not self.loader.metrics.is_healthy

    def push(self, damage: Damage = whole, lists: Lists | None = None, **changes: Any) -> Announcement:
        """Sends the next run, damaged."""
        run, _ = self.world.push(lists, damage, **{**PATIENT, **changes})
        return run

    def announce(self, lists: Lists, **changes: Any) -> Announcement:
        """Announces the next run."""
        return self.world.announce(lists, **{**PATIENT, **changes})

    def push_half(self) -> tuple[Announcement, Lists]:
        """Sends and loads half of the next run; returns all of it."""
        lists = self.world.next_lists()
        run = self.announce(lists)
        self.world.send(run, lists, lambda wire, _: wire[:300])
        eventually(lambda: self._loaded(run) > 250 and not self.is_unwell())
        return run, lists

    def _loaded(self, run: Announcement) -> int:
        with suppress(PublishError):
            return sum(part.loaded for part in self.control.status().on_the_way[-1].partitions)
        return 0

    def send_more(self, run: Announcement, lists: Lists) -> None:
        """Sends a few records after those of the first half."""
        self.world.send(run, lists, lambda wire, _: wire[300:320])

    def until_failed(self, run: Announcement) -> None:
        """Returns when a run is FAILED."""
        eventually(lambda: self.control.registry.get(run.run).state is RunState.FAILED, seconds=60)

    def until(self, run: Announcement, ending: RunEnding = RunEnding.SERVING) -> None:
        """Returns when a run ended so."""
        waited = ending_of(self.client, run, deadline=60)
        assert waited.ending is ending, waited
        self.until_written_down()

    def until_written_down(self) -> None:
        """Returns when the loader has sent every change of what serves to Kafka, and is well."""
        eventually(lambda: not self.control.pointers.unsent.entries() and not self.is_unwell(), seconds=60)

    def serve(self) -> Announcement:
        """Pushes a run that must serve, as a job does it, and returns when it does and is written down."""
        lists = self.world.next_lists()
        run = self.announce(lists, as_of=datetime.now(UTC).date() - timedelta(days=1))
        KafkaRunLog(self.kafka).append(run)
        self.world.send(run, lists)
        self.until(run)
        self.world.serving, self.world.lists = run, lists
        self.job_ends()
        return run

    def job_ends(self, *, failure: str | None = None) -> Storage:
        """Writes what a job leaves in its run's folder, when it has served a run, or was stopped."""
        self._runs += 1
        stages = STAGES if failure is None else STAGES[:2]
        folder = write_run(
            self.home, self.product, self._runs, stages=stages, failure=failure, created_at=datetime.now(UTC)
        )
        if failure is None:
            write_reports(folder)
        return folder

    def gate_fails(self, gate: Gate, *, why: str) -> None:
        """Writes what a job leaves that a gate stopped."""
        folder = self.job_ends(failure=f"GateFailed: {why}")
        report = GateReport(gate=gate, passed=False, expectations=(), profile=None)
        folder.write_bytes(report_file(gate), report.to_json().encode())

    def rebuild(self) -> None:
        """Restores from Kafka what Redis lost."""
        rebuild(self.kafka, self.control, deadline=120)

    def mend(self) -> None:
        """Ends what a fault left, and serves the next run; returns when all is well."""
        for name in list(self._loaders):
            if name != "a":
                self.stop_loader(name)
        if "a" not in self._loaders:
            self.start_loader()
        self.server.wait_until_ready()
        for report in self.control.status().on_the_way:
            self.control.registry.fail(report.run.name, "it is over")
        self.until_written_down()
        self.serve()

    def close(self) -> None:
        """Stops what it started."""
        for name in list(self._loaders):
            self.stop_loader(name)
        self.client.close()
        self._quick.close()


def _series(name: str, labels: dict[str, str], instance: str) -> str:
    """Returns a series' name; every product has the same one, so that a run of the tests is like another."""
    known = {**labels, "product": "groups", **({"instance": instance} if instance else {})}
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(known.items())) + "}"


def as_series(phases: Sequence[tuple[int, Scraped]]) -> dict[str, str]:
    """Returns scrapes, each of which is seen for so many samples, as series whose times begin at 0."""
    found: dict[str, list[str]] = {}
    begun = 0
    for count, scraped in phases:
        for name in found.keys() | scraped.series.keys():
            value = scraped.series.get(name)
            pieces = found.setdefault(name, [f"_x{begun // STEP}"] if begun else [])
            if value is not None:
                if _TIME.match(name):  # as old at the phase's begin as it was when it was read
                    value += begun - scraped.at
                pieces.append(f"{value}+0x{count - 1}")
            else:
                was_there = bool(pieces) and not pieces[-1].startswith("_")
                pieces.append(f"stale _x{count - 1}" if was_there else f"_x{count}")  # at least two samples
        begun += count * STEP
    return {name: " ".join(pieces) for name, pieces in found.items()} | _look_ups(phases)


def _look_ups(phases: Sequence[tuple[int, Scraped]]) -> dict[str, str]:
    """Returns what a look-up service counts whose requests are answered, or fail."""
    counts = {"list": list(_counted(phases, is_answered=True)), "failed": list(_counted(phases, is_answered=False))}
    name = 'discovery_lookup_seconds_count{instance="a",outcome="%s",product="groups",route="list"}'
    found = {name % outcome: " ".join(map(str, values)) for outcome, values in counts.items()}
    found['discovery_lookup_in_flight{instance="a",product="groups"}'] = samples(1)
    return found


def _counted(phases: Sequence[tuple[int, Scraped]], *, is_answered: bool) -> Iterator[int]:
    total = 0
    for count, scraped in phases:
        for _ in range(count):
            total += _ANSWERS * (scraped.is_answered is is_answered)
            yield total
