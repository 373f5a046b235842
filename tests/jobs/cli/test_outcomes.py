"""`discovery outcomes`: what it says of measured days, and of those that were not."""

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conf import contract
from conf.contract import USER_GROUPS
from jobs.cli import app
from jobs.outcomes.store import LeftOut, OutcomeStore, Record, ServedThen, sorted_table
from jobs.storage.store import Storage
from tests.features.world import settings

MONDAY = dt.date(2026, 11, 9)
NOTHING = dict.fromkeys(contract.outcomes().names)
SERVED = ServedThen(
    since=dt.datetime(2026, 11, 1, tzinfo=dt.UTC), until=None, treatment="a", control=None, share_bp=5_000
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutcomeStore:
    """The store of a product that the environment names; no server is there."""
    tree = settings().model_dump(mode="json") | {"product": "told"}
    (tmp_path / "product.yml").write_text(yaml.safe_dump(tree))
    monkeypatch.setenv("DISCOVERY_CONFIG", str(tmp_path / "product.yml"))
    monkeypatch.setenv("DISCOVERY_HOME", str(tmp_path / "home"))
    for variable in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    return OutcomeStore.of(Storage(str(tmp_path / "home")), "told")


def row(**figures: Any) -> dict[str, Any]:
    known = {"basis": "answered", "run": "a", "arm": "treatment", "by": "all", "users": 10, "answers": 20}
    known |= {"places": 200, "hits": 5, "hits_at": [1, 4], "users_hit": 4, "first_hit_ms": 240_000, "new": 8}
    known |= {"first_hits": [3, 0, 1, 0, 0, 0, 0, 0], "events": 30, "events_listed": 6, "new_listed": 2}
    return NOTHING | known | figures


def keep(store: OutcomeStore, day: dt.date, *rows: dict[str, Any], **more: Any) -> None:
    """Keeps a measured day."""
    known: dict[str, Any] = {"file": "", "sha256": "", "rows": len(rows), "through": day, "mature": True, "inputs": ""}
    known |= {"settings_hash": "", "bases": {"answered": 20} if rows else {}, "new_is_known": True, "robots": {}}
    record = Record.model_validate({**known, "day": day, "served": (SERVED,), "at": (1, 5), **more})
    store.write(record, sorted_table([{**one, "day": day} for one in rows]))


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["discovery", "outcomes", *words])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert not end.value.code
    return capsys.readouterr().out


def test_nothing_measured_says_what_is_missing(store: OutcomeStore, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["discovery", "outcomes"])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2
    assert "exposures are not enabled: nobody knows what was answered" in capsys.readouterr().err


def test_weeks_add_up_and_every_rate_names_its_basis(store: OutcomeStore, capsys: Any, monkeypatch: Any) -> None:
    shown = row(basis="shown", answers=100, hits=5)
    keep(store, MONDAY, row(), row(arm="control", run=None, hits=0, new=0, new_listed=0), shown)
    keep(store, MONDAY + dt.timedelta(days=1), row(new=None, new_listed=None), new_is_known=False)
    keep(store, MONDAY + dt.timedelta(days=7), row(), mature=False)
    text = said(capsys, monkeypatch)
    first = text.splitlines()[1:4]
    assert [" ".join(line.split()) for line in first] == [
        "2026-11-09 answered control nothing 10 20 answers 0 hits per answer 0.000 1 4 60 s",
        "2026-11-09 answered treatment a 20 40 answers 10 hits per answer 0.250 2 8 60 s",
        "2026-11-09 shown treatment a 10 100 impressions 5 click-through rate 5.00 % 1 4 25.0 % 60 s",
    ]
    assert "not mature, and still growing as events arrive: 2026-11-16" in text
    assert "not measured: 2026-11-11 to 2026-11-15" in text
    assert "new engagements are not known, since events before are not there: 2026-11-10" in text
    assert "the folder is deleted, the figures hold: a" in text
    data = json.loads(said(capsys, monkeypatch, "--daily", "--json", "--weeks", "1"))
    (only,) = data["rows"]
    assert (only["day"], only["rate"]) == ("2026-11-16", {"name": "hits per answer", "value": 0.25})
    assert (only["new_listed_share"], only["first_hit_median_below_seconds"]) == (0.25, 60)


@pytest.mark.parametrize(
    ("share", "rows", "words"),
    [
        (0, [row(arm="control", run=None)], "treatment: nobody, the share was 0 % throughout; there is nothing to"),
        (10_000, [row()], "control: nobody, the share was 100 % throughout; there is nothing to compare with"),
        (5_000, [row()], "control: users belonged to it (share 50 %), and nothing was answered to any of them"),
        (5_000, [], "nothing was answered or shown: 2026-11-09"),
    ],
)
def test_arms_without_anybody(
    store: OutcomeStore, capsys: Any, monkeypatch: Any, share: int, rows: list[dict[str, Any]], words: str
) -> None:
    robots = {"answered": LeftOut(users=3)}
    keep(store, MONDAY, *rows, served=(SERVED.model_copy(update={"share_bp": share}),), robots=robots)
    text = said(capsys, monkeypatch)
    assert words in text
    assert "left out as robots (outcomes.robots): 3 user-days" in text


def test_positions_categories_and_events_have_a_column_of_their_own(
    store: OutcomeStore, capsys: Any, monkeypatch: Any
) -> None:
    places = [row(by="position", value=value, new=None, new_listed=None) for value in ("10", "9")]
    keep(store, MONDAY, row(), *places, row(by="category", value=None))
    lines = said(capsys, monkeypatch, "--by", "position").splitlines()
    assert [line.split()[4] for line in lines[1:3]] == ["9", "10"]
    assert said(capsys, monkeypatch, "--by", "category").splitlines()[1].split()[4] == "?"


def test_a_page_of_all_of_it(store: OutcomeStore, capsys: Any, monkeypatch: Any, tmp_path: Path) -> None:
    keep(store, MONDAY, row(), row(by="category", value="music"), mature=False)
    said(capsys, monkeypatch, "--by", "event", "--page", str(tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "Hits per answer: treatment 0.250" in text
    assert "<li>not mature, and still growing as events arrive: 2026-11-09</li>" in text
    assert "music" in text
    monkeypatch.setattr(sys, "argv", ["discovery", "outcomes", "--page", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2
    assert "cannot be written (Is a directory); name another file" in capsys.readouterr().err


def test_what_lists_have_made_is_said_by_week_and_basis(store: OutcomeStore, capsys: Any, monkeypatch: Any) -> None:
    def of(arm: str, hits: int) -> dict[str, Any]:
        groups = {"group_users": [10] * USER_GROUPS, "group_answers": [20] * USER_GROUPS}
        return row(arm=arm, **groups, group_hits=[hits, hits + 2] * (USER_GROUPS // 2))

    shown = [of("treatment", 5) | {"basis": "shown"}]
    keep(store, MONDAY, of("treatment", 5), of("shadow", 2), row(arm="control", run=None), *shown, shadow={"a": True})
    keep(store, MONDAY + dt.timedelta(days=1), of("treatment", 9), row(arm="control"), shadow={"b": None})
    text = said(capsys, monkeypatch)
    assert (
        "incremental, 2026-11-09, answered: 0.6000 hits per user and day with lists, 0.3000 on lists that nobody got: "
        "+0.3000 (95 %: +0.3000 … +0.3000), +384 hits of 1,280 user-days beside 1,280"
    ) in text
    assert "no hits on shadow lists of b: they were deleted with the folder of the run" in text
    data = json.loads(said(capsys, monkeypatch, "--json"))
    (made,) = data["incremental"]
    assert (made["week"], made["basis"], made["user_days"]) == ("2026-11-09", "answered", 1280)
    assert made["difference"]["value"] == pytest.approx(0.3)
    by_arm = {(one["basis"], one["arm"]): one["interval"] for one in data["rows"]}
    assert by_arm["answered", "shadow"]["low"] < 0.15 < by_arm["answered", "shadow"]["high"]
    assert by_arm["answered", "control"] == {"low": None, "high": None}
    assert json.loads(said(capsys, monkeypatch, "--json", "--by", "surface"))["incremental"] == []


def test_places_are_compared_where_sources_changed_place(store: OutcomeStore, capsys: Any, monkeypatch: Any) -> None:
    swaps = {f"{group}:{place}:{other}": hits for group in range(9) for place, other, hits in [(1, 2, 40), (2, 1, 20)]}
    place = row(by="position", value="1")
    keep(store, MONDAY, place, swaps={"answered": swaps})
    keep(store, MONDAY + dt.timedelta(days=1), place, swaps={"answered": {"0:1:2": 10_000}}, mature=False)
    curve = json.loads(said(capsys, monkeypatch, "--by", "position", "--json"))["propensities"]["answered"]
    assert curve[1]["value"] == pytest.approx(0.5), "of mature days only"
    assert curve[1]["low"] <= 0.5 <= curve[1]["high"]
    assert curve[2:] == [None] * 8
    text = said(capsys, monkeypatch, "--by", "position")
    assert "relative to the first: 1: 1.00 (1.00 to 1.00), 2: 0.50 (0.50 to 0.50), 3: not identifiable" in text
    keep(store, MONDAY, place)
    assert "how often a place is looked at is not identifiable" in said(capsys, monkeypatch, "--by", "position")
    assert "looked at" not in said(capsys, monkeypatch)
