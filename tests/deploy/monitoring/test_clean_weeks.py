"""Fifty-two weeks in which all is well raise no alert.

The whole year is looked at every four hours, where not even an expression may hold; twenty minutes of each week, in
which a run begins to serve and something is restarted, with every scrape, where no alert may fire. All of it with
every scrape would take half an hour of a core.
"""

import pytest

from deploy.monitoring.alerts import read_alerts
from deploy.monitoring.promtool import STEP, Watch, seen
from tests.deploy.monitoring.healthy import WEEK, with_product
from tests.deploy.monitoring.year import HOUR, MINUTE, WEEKS, Year, year
from tests.support.tools import tool

PRODUCT = "groups"
LONG_STEP = 4 * HOUR
SCRAPES = 40
SUCCESS = with_product("discovery_run_last_success_timestamp_seconds", PRODUCT)
HEALTHY = with_product('discovery_loader_healthy{instance="a"}', PRODUCT)


@pytest.fixture(scope="module")
def clean() -> Year:
    return year(20)


def window(clean: Year, week: int) -> dict[str, str]:
    """Series of the twenty minutes in which a week's run began to serve."""
    then = clean.weeks[week]
    return clean.sampled(PRODUCT, min(then.served, then.maintained) - 5 * MINUTE, STEP, SCRAPES)


def test_nothing_is_to_be_said_of_a_year(clean: Year) -> None:
    count = WEEKS * WEEK // LONG_STEP
    watch = Watch(clean.sampled(PRODUCT, 0, LONG_STEP, count), [(count - 1) * LONG_STEP])
    (((_, fired, held),),) = seen(tool("promtool"), read_alerts(), [watch], step=LONG_STEP)
    assert not fired
    assert not held


def test_no_alert_fires_while_runs_begin_to_serve_and_things_are_restarted(clean: Year) -> None:
    end = (SCRAPES - 1) * STEP
    watches = [Watch(window(clean, week), [end]) for week in range(WEEKS)]
    found = [looks[0] for looks in seen(tool("promtool"), read_alerts(), watches)]
    assert {week: names for week, (_, names, _) in enumerate(found) if names} == {}
    held = {name for _, _, names in found for name in names}
    assert {"DiscoveryRedisAway", "DiscoveryLoaderAway", "DiscoveryLoaderUnwell", "DiscoveryHistoryUnsent"} <= held


def test_a_year_that_is_not_clean_is_noticed(clean: Year) -> None:
    """Two weeks without a run, and a loader that is away for a quarter of an hour."""
    weeks = clean.sampled(PRODUCT, 10 * WEEK, LONG_STEP, 4 * WEEK // LONG_STEP)
    weeks[SUCCESS] = weeks[SUCCESS].split("+")[0] + "+0x999"
    scrapes = {name: values for name, values in window(clean, 5).items() if "_loader_" not in name}
    scrapes[HEALTHY] = "1+0x4 stale _x29 1+0x4"
    ((overdue,),) = seen(tool("promtool"), read_alerts(), [Watch(weeks, [27 * WEEK // 7])], step=LONG_STEP)
    ((away,),) = seen(tool("promtool"), read_alerts(), [Watch(scrapes, [(SCRAPES - 1) * STEP])])
    assert overdue.now == {"DiscoveryRunOverdue"}
    assert (away.now, away.ever) == (frozenset(), {"DiscoveryLoaderAway"})
