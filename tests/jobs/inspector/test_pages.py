"""The pages as a browser gets them: what they say, their status, their headers, and whom they answer."""

import http.client
import json
import re
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import pytest

from conf.connections import RedisConnection
from conf.environment import Environment
from jobs.inspector.installation import Product
from jobs.storage.bound_folder import MANIFEST
from tests.jobs.inspector.conftest import served
from tests.jobs.inspector.site import AFTER, BEFORE, LISTED, Site
from tests.publish.support.samples import closed_port

Answer = tuple[int, dict[str, str], str]


def get(address: str, path: str, *, host: str | None = None, method: str = "GET") -> Answer:
    """Status, headers and text of a page."""
    at = urlsplit(address)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=120)
    try:
        connection.request(method, path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def page(site: Site, name: str = "", **query: object) -> str:
    """The path of a page of a product."""
    return f"/p/{site.product.name}{'/' + name if name else ''}" + (f"?{urlencode(query)}" if query else "")


def every_page(site: Site) -> list[str]:
    """A page of each kind."""
    source = site.lists[AFTER][site.users[0]][0]
    return [
        page(site),
        page(site, f"run/{AFTER}"),
        page(site, "compare", before=BEFORE, after=AFTER),
        page(site, "source", id=source),
        page(site, "source", id=site.ineligible, run=BEFORE),
        page(site, "user", id=site.users[0]),
        page(site, "user", id=site.users[0], run=BEFORE, source=site.ineligible),
    ]


def test_what_a_product_says(address: str, sites: tuple[Site, Site]) -> None:
    status, _, text = get(address, page(sites[0]))
    assert status == 200
    assert "Serves everybody, from data up to 2026-11-16" in text
    assert AFTER in text
    assert BEFORE in text
    assert "&lt;b&gt;looks good&lt;/b&gt;" in text
    assert 'href="/p/hostile"' in text
    assert get(address, "/")[0] == 307


def test_what_a_run_says(address: str, sites: tuple[Site, Site]) -> None:
    status, _, text = get(address, page(sites[0], f"run/{AFTER}"))
    assert status == 200
    assert "version 7: challenger" in text
    assert "min_lists" in text
    assert "overridden: &lt;b&gt;new app&lt;/b&gt;" in text
    assert '<span class="chip ok">treatment</span>' in text
    assert f"before={BEFORE}&amp;after={AFTER}" in text


def test_reports_are_where_airflow_looks_for_them(address: str, sites: tuple[Site, Site]) -> None:
    status, headers, _ = get(address, f"/runs/inspected/{AFTER}/report.html")
    assert (status, headers["location"]) == (307, f"/p/inspected/run/{AFTER}/report.html")
    status, headers, _ = get(address, f"/runs/{quote('//evil.example', safe='')}/x/report.html")
    assert status == 404 or headers["location"].startswith("/p/")


def test_two_runs_side_by_side(address: str, sites: tuple[Site, Site]) -> None:
    site = sites[0]
    old, new = (site.lists[run] for run in (BEFORE, AFTER))
    shares = {user: len({*old[user]} & {*new[user]}) / LISTED for user in site.users}
    status, _, text = get(address, page(site, "compare", before=BEFORE, after=AFTER))
    assert status == 200
    assert f"{100 * np.mean(list(shares.values())):.3g} % of a list stayed the same" in text
    assert "120 are in both; 0 only before, 0 only after" in text
    worst = [user for user, _ in sorted(shares.items(), key=lambda one: (one[1], one[0])) if user != site.forgotten]
    listed = re.findall(r"<tr><td>(\d+)</td>", text)
    assert listed == [str(user) for user in worst[:20]]
    rose = dict.fromkeys(site.sources, 0)
    for lists, sign in ((new, 1), (old, -1)):
        for some in lists.values():
            for source in some:
                rose[source] += sign
    most = max(rose.values())
    assert f'<td class="num up">+{most}</td>' in text


def test_a_source(address: str, sites: tuple[Site, Site]) -> None:
    site = sites[0]
    lists = site.lists[AFTER]
    source = lists[site.users[0]][0]
    holders = [user for user, some in lists.items() if source in some]
    status, _, text = get(address, page(site, "source", id=source))
    assert status == 200
    assert f"{source}: in {len(holders)} of 120 lists" in text
    shown = [int(user) for user in re.findall(r">(\d{7})</a> <span class=\"why\">place", text)]
    best = sorted((lists[user].index(source), user) for user in holders if user != site.forgotten)
    assert shown == [user for _, user in best[:20]]
    assert "Nearest sources" in text


def test_why_a_user_has_a_list(address: str, sites: tuple[Site, Site]) -> None:
    site = sites[0]
    user = site.users[0]
    status, _, text = get(address, page(site, "user", id=user, source=site.ineligible))
    assert status == 200
    assert "a list of their own" in text
    assert "differs from the run" in text  # the scores in Redis are others: `pushing` counts down
    shown = re.findall(r'<tr><td class="num">\d+</td><td><a [^>]*>(\d+)</a>[^/]*</span></td><td class="num">-?\d', text)
    assert [int(source) for source in shown[:LISTED]] == site.lists[AFTER][user]
    assert "ineligible" in text
    assert BEFORE in text
    assert "Because of" in text
    assert "Its place rests on" in text
    assert re.search(r'data-name="rests on">(<a [^>]*>\d+</a>(, )?){3} <span class="why nowrap">\d+ → \d+</span>', text)
    assert "This look at a user was logged" in text
    month = next((Path(site.product.environment.home) / "looks" / "inspected").glob("*.jsonl"))
    assert f'"user": {user}' in month.read_text().splitlines()[-1]


def test_a_forgotten_user_has_no_page(address: str, sites: tuple[Site, Site]) -> None:
    for site in sites:
        for run in (None, BEFORE, AFTER):
            query = {"id": site.forgotten} | ({} if run is None else {"run": run})
            status, _, text = get(address, page(site, "user", **query))
            assert status == 410
            assert "was forgotten" in text
            assert "<table" not in text
        home = Path(site.product.environment.home)
        lines = "".join(file.read_text() for file in (home / "looks" / site.product.name).glob("*.jsonl"))
        assert f'"user": {json.dumps(site.forgotten)}' not in lines
        assert '"forgotten": true' in lines


def test_why_a_source_is_in_no_list(address: str, sites: tuple[Site, Site]) -> None:
    site = sites[0]
    _, _, text = get(address, page(site, "source", id=site.ineligible))
    assert "in no list" in text
    assert "it is not eligible" in text
    _, _, text = get(address, page(site, "source", id=site.lone))
    assert "nobody engaged with it in the windows" in text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/p/nothing", 404, "there is no product"),
        ("/p/inspected/run/20200101T000000Z-20200101-1", 404, "there is no folder of a run"),
        ("/p/inspected/run/..%2f..%2f..%2fetc", 404, "there is no"),
        (f"/p/inspected/run/{AFTER}/manifest.json", 404, "has no page"),
        (f"/p/inspected/run/{AFTER}/report.html", 404, "has no page"),
        ("/p/inspected/source?id=999", 404, "does not know a source"),
        ("/p/inspected/user?id=42", 404, "knows no user"),
        ("/p/inspected/user?id=x", 400, "is no id of inspected"),
        ("/p/inspected/user?id=1000000&run=x", 400, "is malformed"),
        ("/p/inspected/user?id=1000000&run=20200101T000000Z-20200101-1", 404, "is gone"),
        ("/p/inspected/source?id=seven", 400, "is no id of inspected"),
        ("/p/inspected/source", 400, "is no id of inspected"),
        (f"/p/inspected/compare?before={BEFORE}", 404, "there is no folder of a run"),
        ("/nowhere", 404, "there is no page"),
    ],
)
def test_what_is_not_there_has_a_page(
    address: str, sites: tuple[Site, Site], path: str, status: int, said: str
) -> None:
    found, _, text = get(address, path)
    assert (found, said in text) == (status, True), text
    assert "<main" in text


def test_a_run_that_was_changed_is_refused(address: str, sites: tuple[Site, Site]) -> None:
    site = sites[0]
    file = Path(site.product.environment.home, "runs", site.product.name, BEFORE, MANIFEST)
    kept = file.read_bytes()
    file.write_bytes(json.dumps(json.loads(kept) | {"epoch": 99}).encode())
    try:
        status, _, text = get(address, page(site, f"run/{BEFORE}"))
    finally:
        file.write_bytes(kept)
    assert status == 409
    assert "manifest.json was changed since the run wrote it" in text


def test_every_answer_is_guarded(address: str, sites: tuple[Site, Site]) -> None:
    for path in (*every_page(sites[0]), "/style.css", "/nowhere", "/p/inspected/source?id=seven"):
        _, headers, text = get(address, path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';"), path
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "<script" not in text
        assert not re.search(r"<[^>]*\s(style|on\w+)=", text), path


def test_pages_are_read_only(address: str, sites: tuple[Site, Site]) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, headers, _ = get(address, page(sites[0]), method=method)
        assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert get(address, page(sites[0]), method="HEAD")[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.0.7", "", "[::2]"]
)
def test_a_name_that_is_not_ours_gets_nothing(address: str, sites: tuple[Site, Site], host: str) -> None:
    status, headers, text = get(address, page(sites[0]), host=host)
    assert status == 421
    assert "inspected" not in text
    assert "content-security-policy" in headers


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:80"])
def test_our_own_names_are_answered(address: str, sites: tuple[Site, Site], host: str) -> None:
    assert get(address, page(sites[0]), host=host)[0] == 200


def test_hostile_names_are_text(address: str, sites: tuple[Site, Site]) -> None:
    site = sites[1]
    for name in site.sources:
        for kind in ("source", "user"):
            if kind == "user" and name == site.forgotten:
                continue
            status, _, text = get(address, page(site, kind, id=name))
            assert status == 200, name
            assert "<script" not in text
            assert not re.search(r"<[^>]*\s(style|on\w+)=", re.sub(r'"[^"]*"', '""', text)), name
    for path in (
        f"/p/{quote(site.sources[0])}",
        f"/p/hostile/run/{quote(site.sources[0], safe='')}",
        page(site, "compare", before=site.sources[0], after=site.sources[1]),
        page(site, "source", id="no" + str(site.sources[0])),
        f"/{quote(str(site.sources[0]))}",
    ):
        status, _, text = get(address, path)
        assert status in (400, 404)
        assert "<script" not in text


def test_a_forgotten_user_is_nowhere(address: str, sites: tuple[Site, Site]) -> None:
    for site in sites:
        for run in (BEFORE, AFTER):
            for source in site.lists[run][site.forgotten]:
                _, _, text = get(address, page(site, "source", id=source, run=run))
                assert f"/user?{urlencode({'id': site.forgotten})}" not in text
        _, _, text = get(address, page(site, "compare", before=BEFORE, after=AFTER))
        assert f"/user?{urlencode({'id': site.forgotten})}" not in text


def test_without_redis_files_speak_and_nobody_is_shown(sites: tuple[Site, Site]) -> None:
    site = sites[0]
    away = RedisConnection(url=f"redis://127.0.0.1:{closed_port()}")
    environment = Environment(home=site.product.environment.home, kafka=None, redis=away, mlflow=None)
    with served([Product(site.product.settings, environment)]) as address:
        status, _, text = get(address, page(site))
        assert status == 200
        assert "Redis does not answer" in text
        assert AFTER in text
        status, _, text = get(address, page(site, "compare", before=BEFORE, after=AFTER))
        assert status == 200
        assert "stayed the same" in text
        assert "whether a user is forgotten cannot be known now" in text
        assert re.findall(r"<tr><td>(\d+)</td>", text) == []
        source = site.lists[AFTER][site.users[0]][0]
        status, _, text = get(address, page(site, "source", id=source))
        assert status == 200
        assert "cannot be known now" in text
        assert str(site.users[0]) not in text
        status, _, text = get(address, page(site, "user", id=site.users[0]))
        assert status == 503
        assert "cannot be known now" in text
