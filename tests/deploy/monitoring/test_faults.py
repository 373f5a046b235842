"""Each of the thirty faults of publishing raises the alerts that the table says, and no other, within five minutes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from conf.connections import KafkaConnection
from deploy.monitoring.alerts import read_alerts
from deploy.monitoring.promtool import STEP, Seen, Watch, seen
from deploy.servers.redis_server import RedisServer
from tests.deploy.monitoring.faults import ROWS, Row, State, table
from tests.deploy.monitoring.installation import Installation, Scraped, as_series
from tests.support.tools import tool

ROOT = Path(__file__).parents[3]
BEFORE = 5
"""Samples before a fault begins."""
MEANWHILE = 2
"""Samples of a state that passes."""
WITHIN = 300
"""Seconds after which the alerts of a fault fire."""
SIDE_BY_SIDE = 5
"""Products that faults befall at the same time."""


@contextmanager
def installed(kafka: KafkaConnection, server: RedisServer, folder: Path) -> Iterator[Installation]:
    """A product with a loader."""
    one = Installation(kafka, server, folder)
    try:
        one.start_loader()
        yield one
    finally:
        one.close()


def befall(installation: Installation, row: Row) -> list[Scraped]:
    """Returns what is scraped before a fault, while it happens, and of the state that it leaves."""
    installation.mend()
    before = installation.scrape_until(lambda seen: seen.is_answered and not seen.is_unwell)
    return [before, *(_scraped(installation, row, state) for state in row.befalls(installation))]


def _scraped(installation: Installation, row: Row, state: State) -> Scraped:
    """Returns what is scraped; of what stays, when Redis and loaders are noticed to be as they will be from then on."""
    if state is State.PASSES:
        return installation.scrape()
    away, unwell = "RedisAway" in row.alerts, "LoaderUnwell" in row.alerts
    return installation.scrape_until(lambda seen: seen.is_away == away and (away or seen.is_unwell == unwell))


def watch_of(scrapes: Sequence[Scraped]) -> Watch:
    """Returns what Prometheus sees of them, and looks: before the fault, and five minutes after it began."""
    begun, counts = BEFORE * STEP, [BEFORE] + [MEANWHILE] * (len(scrapes) - 2)
    counts.append(BEFORE + WITHIN // STEP + 1 - sum(counts))
    return Watch(as_series(list(zip(counts, scrapes, strict=True))), (begun - STEP, begun + WITHIN))


def befall_all(kafka: KafkaConnection, folder: Path, rows: Sequence[Row]) -> dict[str, list[Scraped]]:
    """Returns what each of these rows leaves, one after the other, in a product and a Redis of their own."""
    with (
        RedisServer(folder / "redis", settings={"appendfsync": "always"}) as server,
        installed(kafka, server, folder / "home") as one,
    ):
        return {row.title: befall(one, row) for row in rows}


@pytest.fixture(scope="module")
def scraped(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Scraped]]:
    """What each row of the table leaves, in the table's order; groups side by side: a fault mostly waits."""
    together = [row for row in ROWS if not row.is_alone]
    groups = [[row for row in ROWS if row.is_alone], *(together[first::SIDE_BY_SIDE] for first in range(SIDE_BY_SIDE))]
    with ThreadPoolExecutor(len(groups)) as threads:
        folders = [tmp_path_factory.mktemp("faults") for _ in groups]
        found = dict[str, list[Scraped]]()
        for one in threads.map(partial(befall_all, kafka), folders, groups):
            found |= one
    return {row.title: found[row.title] for row in ROWS}


@pytest.fixture(scope="module")
def looks(scraped: dict[str, list[Scraped]]) -> dict[str, list[Seen]]:
    """What is seen of each, before and five minutes after it began."""
    watches = [watch_of(scrapes) for scrapes in scraped.values()]
    return dict(zip(scraped, seen(tool("promtool"), read_alerts(), watches), strict=True))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_fault_raises_its_alerts_and_no_others(looks: dict[str, list[Seen]], row: Row) -> None:
    before, after = looks[row.title]
    assert not before.ever
    assert after.now == row.raises
    assert after.ever == row.raises


def test_each_of_the_thirty_is_in_the_table() -> None:
    assert {row.fault for row in ROWS} == set(range(1, 31))
    assert len({row.title for row in ROWS}) == len(ROWS)
    assert all(bool(row.alerts) != bool(row.heals) for row in ROWS)


def test_the_alerts_of_a_row_begin_with_the_worst() -> None:
    severities = {alert.name: alert.severity for alert in read_alerts()}
    for row in ROWS:
        said = [severities[name] for name in row.names]
        assert said == sorted(said)
        assert len(set(row.names)) == len(row.names)


def test_the_table_of_the_documentation_says_the_same() -> None:
    text = (ROOT / "docs/monitoring.md").read_text()
    assert table() in text, "run `python -m tests.deploy.monitoring.faults` and copy what it says"
