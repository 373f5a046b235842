"""Twelve journeys through the inspector in a real browser, with the keyboard only; the console stays quiet."""

from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from selenium.webdriver.common.keys import Keys

from tests.jobs.inspector.browser import NARROW, Browser, browsing
from tests.jobs.inspector.site import AFTER, BEFORE, LISTED, Site


@pytest.fixture(scope="module")
def shared(address: str) -> Iterator[Browser]:
    """One browser for all journeys."""
    with browsing(address) as one:
        yield one


@pytest.fixture
def browser(shared: Browser) -> Iterator[Browser]:
    """The browser, at the start; at the end of a journey its console has no complaint."""
    shared.open("/")
    yield shared
    assert shared.errors() == []


@pytest.fixture
def site(sites: tuple[Site, Site]) -> Site:
    return sites[0]


def pages_of(site: Site) -> list[str]:
    """A page of each kind."""
    user, name = site.users[0], quote(site.product.name)
    source = site.lists[AFTER][user][0]
    return [
        f"/p/{name}",
        f"/p/{name}/run/{AFTER}",
        f"/p/{name}/compare?before={BEFORE}&after={AFTER}",
        f"/p/{name}/source?{urlencode({'id': source})}",
        f"/p/{name}/source?{urlencode({'id': site.ineligible})}",
        f"/p/{name}/user?{urlencode({'id': user, 'source': site.ineligible})}",
        f"/p/{name}/user?{urlencode({'id': site.forgotten})}",
    ]


def test_1_what_serves_and_its_run(browser: Browser) -> None:
    assert browser.heading == "Serves everybody, from data up to 2026-11-16"
    browser.tab_to(AFTER)
    browser.follow()
    assert browser.heading == AFTER
    assert "overridden: <b>new app</b>" in browser.text


def test_2_why_a_user_has_a_list(browser: Browser, site: Site) -> None:
    browser.tab_to("look-user")
    browser.press(str(site.users[0]))
    browser.follow()
    assert browser.heading == f"{site.users[0]}: a list of their own"
    assert browser.links("/source?")[:1] == [str(site.lists[AFTER][site.users[0]][0])]
    assert "This look at a user was logged" in browser.text


def test_3_from_a_list_to_a_source_and_back_to_a_user(browser: Browser, site: Site) -> None:
    user = site.users[0]
    browser.open(f"/p/inspected/user?id={user}")
    first = str(site.lists[AFTER][user][0])
    browser.tab_to(first)
    browser.follow()
    assert browser.heading.startswith(f"{first}: in ")
    other = browser.links("/user?")[0]
    browser.tab_to(other)
    browser.follow()
    assert browser.heading == f"{other}: a list of their own"
    assert f"Why {first}?" in browser.text


def test_4_why_a_source_is_in_no_list(browser: Browser, site: Site) -> None:
    browser.tab_to("look-source")
    browser.press(str(site.ineligible))
    browser.follow()
    assert browser.heading == f"{site.ineligible}: in no list"
    assert "it is not eligible" in browser.text


def test_5_what_changed_since_last_week(browser: Browser, site: Site) -> None:
    browser.tab_to("Compare")
    browser.follow()
    assert browser.path.endswith(f"/compare?before={BEFORE}&after={AFTER}")
    assert "of a list stayed the same" in browser.heading
    assert len(browser.links("/user?")) == 40
    browser.tab_to("before")
    browser.follow()
    assert browser.heading.endswith("a list of their own")
    assert BEFORE in browser.text


def test_6_the_same_user_in_the_run_before(browser: Browser, site: Site) -> None:
    user = site.users[3]
    browser.open(f"/p/inspected/user?id={user}")
    assert f"{LISTED} " in browser.text
    browser.tab_to(BEFORE)
    browser.follow()
    assert f"run={BEFORE}" in browser.path
    assert browser.links("/source?")[:1] == [str(site.lists[BEFORE][user][0])]


def test_7_what_does_not_exist_has_a_way_back(browser: Browser) -> None:
    for path, said in (("user?id=42", "There is no such thing"), ("source?id=x", "That cannot be an id")):
        browser.open(f"/p/inspected/{path}")
        assert browser.heading == said
        browser.tab_to("inspected: what serves, and its runs")
        browser.follow()
        assert browser.heading.startswith("Serves everybody")


def test_8_a_forgotten_user_shows_nothing(browser: Browser, site: Site) -> None:
    for run in (BEFORE, AFTER):
        browser.open(f"/p/inspected/user?id={site.forgotten}&run={run}")
        assert browser.heading == "Nothing is shown"
        assert browser.links("/source?") == []
    for path in pages_of(site)[:-1]:
        browser.open(path)
        assert str(site.forgotten) not in browser.text


def test_9_hostile_names_run_nothing(browser: Browser, sites: tuple[Site, Site]) -> None:
    browser.tab_to("hostile")
    browser.follow()
    hostile = sites[1]
    for path in (
        *pages_of(hostile),
        *(f"/p/hostile/source?{urlencode({'id': name})}" for name in hostile.sources),
        *(f"/p/hostile/source?{urlencode({'id': name})}x" for name in hostile.sources[:10]),
    ):
        browser.open(path)
        assert browser.title.endswith("· discovery"), path
    browser.open(f"/p/hostile/user?{urlencode({'id': hostile.users[0]})}")
    assert browser.heading == f"{hostile.users[0]}: a list of their own"


def test_10_the_keyboard_is_enough(browser: Browser) -> None:
    browser.press(Keys.TAB)
    skip = browser.has_focus_on
    assert skip.text == "Skip to the content"
    assert skip.rect["x"] >= 0
    browser.press(Keys.ENTER)
    assert browser.has_focus_on.get_attribute("id") == "content"
    browser.open("/")
    order = []
    for _ in range(8):
        browser.press(Keys.TAB)
        assert float(browser.outline_of_focus().removesuffix("px")) >= 2
        one = browser.has_focus_on
        order.append(one.text or one.get_attribute("id"))
    assert order == [
        "Skip to the content",
        "inspected",
        "hostile",
        "look-user",
        "Why?",
        "look-source",
        "Who gets it?",
        AFTER,
    ]


def test_11_a_telephone_is_wide_enough(browser: Browser, sites: tuple[Site, Site]) -> None:
    with browser.as_wide_as(NARROW):
        for site in sites:
            for path in pages_of(site):
                browser.open(path)
                assert browser.overflow() <= 0, path


def test_12_it_can_be_read_by_day_and_in_the_dark(browser: Browser, site: Site) -> None:
    by_day = ""
    for path in pages_of(site):
        browser.open(path)
        assert browser.poor_contrasts() == [], path
        by_day = browser.background()
    with browser.in_the_dark():
        for path in pages_of(site):
            browser.open(path)
            assert browser.poor_contrasts() == [], path
        assert browser.background() != by_day
