"""The small files of a run that served ten million users, and of the run before it, without any run."""

import copy
import datetime as dt
from typing import Any

from jobs.pages.report import Known, RunDocuments

AS_OF = dt.date(2026, 11, 16)
RUN, BEFORE = "20261116T030000Z-20261116-1", "20261109T030000Z-20261109-1"
CODE = "0daf7fcd442bc72668ee9146c33c3d134e892207"
DIGEST = "ab" * 32


def figures(name: str, mean: float) -> dict[str, float]:
    return {name: mean, f"{name}.low": mean - 0.004, f"{name}.high": mean + 0.004}


def judged(ndcg: float) -> dict[str, Any]:
    """Figures of everybody and of a segment, of all arms."""
    found: dict[str, Any] = {"k": 20, "replicates": 200, "users": 3_812_077, "cold.users": 81_200}
    arms = (("", ndcg), ("champion.", ndcg - 0.01), ("item_knn.", ndcg - 0.02), ("popularity.", ndcg / 3))
    for prefix, mean in (*arms, ("cold.", 0.02)):
        for metric, times in (("ndcg", 1.0), ("recall", 2.0), ("map", 0.6)):
            found |= figures(f"{prefix}{metric}", mean * times)
    for arm in ("champion", "item_knn", "popularity"):
        for metric in ("ndcg", "recall", "map"):
            found |= figures(f"over_{arm}.{metric}", 0.011)
    return found


def day(ago: int, rows: int, print_of: str) -> dict[str, Any]:
    return {"day": str(AS_OF - dt.timedelta(days=ago)), "fingerprint": print_of, "rows": rows, "bytes": rows * 15}


def inputs(week: int) -> list[dict[str, Any]]:
    events = [day(ago + 7 * week, 180_000_000 + 1_000_000 * ago, f"{ago + 7 * week}") for ago in range(1, 13)]
    snapshot = [day(2 + 7 * week, 90_000_000, "a"), day(1 + 7 * week, 91_000_000 - week, "b")]
    start, end = (str(AS_OF - dt.timedelta(days=ago + 7 * week)) for ago in (10, 0))
    return [
        {"name": "clicks", "start": start, "end": end, "days": events[::-1]},
        {"name": "subscriptions", "start": start, "end": end, "days": snapshot},
    ]


def stage(seconds: float, **facts: Any) -> dict[str, Any]:
    peaks = {"jvm": 41 * 2**30, "driver": 9 * 2**30, "workers": 12 * 2**30, "total": 60 * 2**30}
    at = "2026-11-16T05:23:02.439592Z"
    return {"finished_at": at, "code_version": CODE, "seconds": seconds, "peak_bytes": peaks, "facts": facts}


def manifest(week: int = 0) -> dict[str, Any]:
    """Of a run that serves; week: how many weeks ago."""
    lists = 10_000_000 - 12_345 * week
    drift = {"passed": 90, "failed": 0, "skipped": 18, "overridden": {}, "alarms": {}, "accepted": [], "excluded": []}
    return {
        "request": {
            **{"run_id": BEFORE if week else RUN, "product": "groups", "as_of": str(AS_OF - dt.timedelta(weeks=week))},
            **{"config_hash": "c0ffee", "share_bp": 2_500, "first": False, "publish_old": False, "overrides": {}},
            "trigger_id": "scheduled__2026-11-16",
        },
        "started_by": "scheduled__2026-11-16",
        "created_at": "2026-11-16T03:00:00Z",
        "code_version": CODE,
        "libraries": {"numpy": f"2.4.{6 - week}", "cores": "16"},
        "epoch": 42 - week,
        "serving_before": None if week else BEFORE,
        "experiment": None,
        "settings": {
            "product": "groups",
            "datasets": {"events": {"clicks": {"path": "clicks", "window": "10 days ago:today"}}},
            "train": {"factors": 64 - 32 * week, "seed": 7},
            "lists": {"n": 100},
        },
        "failure": None,
        "stages": {
            "features": stage(3_412.5, rows={"interactions": 812_345_678}, inputs=inputs(week), drift=drift),
            "train": stage(
                2_871.25,
                training={"algorithm": "als", "started": "warm", "from_run": BEFORE, "iterations": 5, "users": lists},
                judged=judged(0.1812 - 0.003 * week),
                decision={"winner": "challenger", "reason": "the recipe is that of the champion, version 3"},
                golden={
                    "sha256": "8a",
                    "ndcg": 0.2798,
                    "recall": 0.4,
                    "popularity_ndcg": 0.15,
                    "popularity_recall": 0.2,
                },
                model={"mlflow_run": "c7b74431f70e4aadb4835d1c7cf0f157", "version": str(12 - week)},
            ),
            "topn": stage(1_530.0, rows={"lists": lists, "fallback": 1_000}),
            "publish": stage(612.0, counts={"computed": lists, "produced": lists}, bytes=4_812_345_678),
            "serve": stage(841.0, counts={"loaded": lists, "readable": lists}, share_bp=2_500, revision=9),
        },
    }


def expectation(name: str, **changes: Any) -> dict[str, Any]:
    plain = {"name": name, "observed": "7", "allowed": "at most 9", "value": 7.0, "passed": True, "protected": False}
    return {**plain, "overridden": None, "skipped": None, **changes}


def gate(name: str, *rows: dict[str, Any], passed: bool = True, profile: Any = None) -> dict[str, Any]:
    """The report of a gate, as its file has it."""
    known = {"gate": name, "passed": passed, "run": RUN, "as_of": str(AS_OF), "expectations": [*rows]}
    return {**known, "unused_overrides": {}, "profile": profile}


def gates() -> dict[str, Any]:
    lists = {"lists": 10_000_000, "personal": 9_120_000, "listed_sources": 712_000, "eligible_sources": 978_000}
    return {
        "inputs": gate("inputs", expectation("max_change_of_sources"), expectation("max_change_of_new_days")),
        "interactions": gate("interactions", expectation("min_rows")),
        "lists": gate(
            "lists",
            expectation("no_seen_source", observed="0", allowed="0", protected=True),
            profile={**lists, "most_frequent": 812_000, "fallback": {"sources": 1_000}},
        ),
    }


def card() -> dict[str, Any]:
    weeks = [
        {"as_of": str(AS_OF - dt.timedelta(weeks=ago)), "ndcg": 0.18 - 0.002 * ago, "low": 0.17, "high": 0.19}
        | {"popularity": 0.06, "golden": 0.2798}
        for ago in range(8)
    ]
    table = '<div class="scroll"><table><tbody><tr><td class="num">1</td></tr></tbody></table></div>'
    return {"html": f"<h3>What it is</h3><p>text</p>{table}", "weeks": weeks}


def documents(**changes: Any) -> RunDocuments:
    """All files of a run that serves ten million users, but for those that change."""
    lists_before = copy.deepcopy(gates()["lists"])
    lists_before["profile"]["lists"] = 9_987_655
    made: dict[str, Any] = {
        "manifest": manifest(),
        "gates": gates(),
        "card": card(),
        "before": manifest(week=1),
        "lists_before": lists_before,
        **changes,
    }
    found = {name: Known(tree) for name, tree in made.items() if name != "gates"}
    return RunDocuments(digest=DIGEST, gates={name: Known(one) for name, one in made["gates"].items()}, **found)
