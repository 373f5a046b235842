"""What the service answers, and what it refuses; one real service on a real Redis."""

import json
from typing import Any

import pytest
import redis

from deploy.servers.redis_server import RedisServer
from publish.read.reader import Reader
from tests.publish.read.test_reader_vectors import VECTORS
from tests.publish.support.serving import TOKEN, RunningService

BIG = 4611686018427387904


@pytest.mark.parametrize("row", VECTORS["answers"], ids=lambda row: str(row["user"]))
def test_the_examples_for_every_language(service: RunningService, row: dict[str, Any]) -> None:
    reply = service.ask(f"/v1/lists/{row['user']}?exclude={','.join(row['exclude'])}")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert {name: reply.data[name] for name in ("user_id", "arm", "run", "kind", "source_ids")} == {
        "user_id": row["user"],
        "arm": row["arm"],
        "run": row["run"],
        "kind": row["kind"],
        "source_ids": row["sources"],
    }


def test_it_says_what_the_reader_says(service: RunningService, filled_redis: RedisServer) -> None:
    with redis.Redis.from_url(filled_redis.url) as client:
        reader = Reader(client, "groups")
        for user in (*range(1, 10), -7, 2**63 - 1, -(2**63)):
            for exclude, n in ((), None), (("11",), 1), ((str(BIG), "92"), 2):
                ours = reader.lookup(user, exclude, n=n)
                theirs = service.ask(f"/v1/lists/{user}?exclude={','.join(exclude)}&n={n or 1000}").data
                assert abs(theirs.pop("age_seconds") - (ours.age_seconds or 0)) < 60
                assert theirs == {
                    "user_id": str(user),
                    "arm": ours.arm,
                    "share_bp": ours.share_bp,
                    "run": ours.run,
                    "kind": ours.kind,
                    "source_ids": [str(source) for source in ours.source_ids],
                    "scores": list(ours.scores),
                    "excluded": ours.excluded,
                }


def test_ids_are_text_since_javascript_would_lose_digits(service: RunningService) -> None:
    body = service.ask("/v1/lists/1").body
    assert f'"{BIG}"'.encode() in body
    assert all(isinstance(source, str) for source in json.loads(body)["source_ids"])


def test_exclude_may_be_repeated_and_encoded(service: RunningService) -> None:
    for query in (f"exclude=11,{BIG}", f"exclude=11&exclude={BIG}", f"exclude=11%2C{BIG}"):
        reply = service.ask(f"/v1/lists/1?{query}").data
        assert (reply["source_ids"], reply["excluded"]) == (["-5"], 2)
    assert service.ask("/v1/lists/1?exclude=&n=1&surface=home.top_1-a&").data["source_ids"] == ["11"]


def test_a_batch_answers_each_user_and_refuses_some(service: RunningService) -> None:
    users = ["1", {"user_id": "2"}, {"user_id": "1", "exclude": ["11"]}, "007", {"user_id": "5", "exclude": ["x"]}, "6"]
    answers = service.post({"users": users, "n": 1, "surface": "mail"}).data["answers"]
    assert [answer["user_id"] for answer in answers] == ["1", "2", "1", "007", "5", "6"]
    assert [answer.get("source_ids") for answer in answers] == [["11"], [], [str(BIG)], None, None, ["91"]]
    assert [answer.get("error") for answer in answers] == [None, None, None, "bad_user", "bad_exclude", None]
    assert service.post({"users": ["1"], "exclude": ["11"]}).data["answers"][0]["excluded"] == 1
    one, alone = service.post({"users": ["1"]}).data["answers"][0], service.ask("/v1/lists/1").data
    assert {**one, "age_seconds": 0} == {**alone, "age_seconds": 0}


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/v1/lists/007", 400, "bad_user"),
        ("/v1/lists/+1", 400, "bad_user"),
        ("/v1/lists/%201", 400, "bad_user"),
        ("/v1/lists/9223372036854775808", 400, "bad_user"),
        ("/v1/lists/1.0", 400, "bad_user"),
        ("/v1/lists/%D9%A1", 400, "bad_user"),
        ("/v1/lists/%ff", 400, "bad_user"),
        ("/v1/lists/1/", 400, "bad_user"),
        ("/v1/lists/", 400, "bad_user"),
        ("/v1/lists/1?n=0", 400, "bad_n"),
        ("/v1/lists/1?n=-1", 400, "bad_n"),
        ("/v1/lists/1?n=1001", 400, "bad_n"),
        ("/v1/lists/1?n=99999999999999999999", 400, "bad_n"),
        ("/v1/lists/1?n=", 400, "bad_n"),
        ("/v1/lists/1?n=1&n=2", 400, "bad_n"),
        ("/v1/lists/1?exclude=1,,2", 400, "bad_exclude"),
        ("/v1/lists/1?exclude=abc", 400, "bad_exclude"),
        ("/v1/lists/1?exclude=%ff", 400, "bad_exclude"),
        ("/v1/lists/1?exclude=" + ",".join(map(str, range(1_001))), 400, "bad_exclude"),
        ("/v1/lists/1?surface=", 400, "bad_surface"),
        ("/v1/lists/1?surface=Home", 400, "bad_surface"),
        ("/v1/lists/1?surface=" + "x" * 65, 400, "bad_surface"),
        ("/v1/lists/1?exlcude=1", 400, "bad_parameter"),
        ("/v1/lists/1?%ff=1", 400, "bad_parameter"),
        ("/v1/lists", 405, "bad_method"),
        ("/nothing", 404, "not_found"),
        ("/v1/listsx", 404, "not_found"),
        ("/v1/lists/1?exclude=" + ",".join(map(str, range(10_000))), 414, "too_long"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused_has_a_word(service: RunningService, path: str, status: int, word: str) -> None:
    reply = service.ask(path)
    assert (reply.status, reply.word) == (status, word)
    assert len(reply.data["message"]) < 400
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"", 400, "bad_body"),
        (b"{", 400, "bad_body"),
        (b"\xff", 400, "bad_body"),
        ([], 400, "bad_body"),
        ({}, 400, "bad_body"),
        ({"users": []}, 400, "bad_body"),
        ({"users": "1"}, 400, "bad_body"),
        ({"users": [1]}, 400, "bad_body"),  # a number: text, or digits may be lost
        ({"users": [{"user": "1"}]}, 400, "bad_body"),
        ({"users": ["1"], "exlcude": []}, 400, "bad_body"),
        ({"users": ["1"] * 101}, 400, "bad_body"),
        ({"users": ["1"], "n": 0}, 400, "bad_n"),
        ({"users": ["1"], "n": "3"}, 400, "bad_body"),
        ({"users": ["1"], "exclude": ["x"]}, 400, "bad_exclude"),
        ({"users": ["1"], "exclude": [str(n) for n in range(10_000)]}, 400, "bad_exclude"),
        ({"users": ["1"], "surface": "a b"}, 400, "bad_surface"),
        (b"x" * (2**20 + 1), 413, "too_long"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_batch_that_is_refused_has_a_word(service: RunningService, body: Any, status: int, word: str) -> None:
    reply = service.post(body)
    assert (reply.status, reply.word) == (status, word)
    assert len(reply.data["message"]) < 400


def test_ids_of_ten_megabytes_are_refused_without_being_read(service: RunningService) -> None:
    head = f"\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n".encode()
    for sent, status in (
        (b"GET /v1/lists/" + b"9" * 10_000_000 + b" HTTP/1.1" + head + b"\r\n", b"414"),
        (b"GET /v1/lists/1 HTTP/1.1" + head + b"x: " + b"y" * 10_000_000 + b"\r\n\r\n", b"431"),
        (b"POST /v1/lists HTTP/1.1" + head + b"content-length: 10000000\r\n\r\n", b"413"),
        (b"POST /v1/lists HTTP/1.1" + head + b"transfer-encoding: chunked\r\n\r\n" + _chunks(10), b"413"),
        (b"no http at all\r\n\r\n", b"400"),
    ):
        received = service.raw(sent)
        assert received.startswith(b"HTTP/1.1 " + status), received[:100]
        assert b"connection: close" in received
        assert json.loads(received.partition(b"\r\n\r\n")[2])["error"] in ("too_long", "bad_request")
    assert service.ask("/v1/lists/1").status == 200


def _chunks(number: int) -> bytes:
    return (b"80000\r\n" + b"x" * 0x80000 + b"\r\n") * number + b"0\r\n\r\n"


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "\u00e9" * 16])
def test_without_the_token_nobody_is_looked_up(service: RunningService, token: str | None) -> None:
    for reply in (service.ask("/v1/lists/1", token=token), service.post({"users": ["1"]}, token=token)):
        assert (reply.status, reply.word) == (401, "bad_token")
        assert reply.headers["www-authenticate"] == "Bearer"
        assert TOKEN.encode() not in reply.body
    assert service.ask("/v1/lists/1", token=None, Authorization=f"bearer  {TOKEN} ").status == 200


def test_what_has_no_token(service: RunningService) -> None:
    assert service.ask("/healthz", token=None).body == b"alive\n"
    ready = service.ask("/readyz", token=None)
    assert (ready.status, ready.data["treatment"]) == (200, "run-new")
    api = service.ask("/openapi.json", token=None).data
    assert set(api["paths"]) == {
        "/v1/lists/{user_id}",
        "/v1/lists",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
    }
    page = service.ask("/", token=None)
    assert "text/html" in page.headers["content-type"]
    assert b"POST /v1/lists" in page.body
    assert b"<script" not in page.body
    assert b"https://" not in page.body  # nothing is loaded from elsewhere
    assert service.ask("/v1/lists/1", method="DELETE").headers["allow"] == "GET"
    assert service.ask("/healthz", method="POST").status == 405


def test_the_metrics_count(service: RunningService) -> None:
    asked = 'discovery_lookup_seconds_count{route="list",outcome="fallback"'
    before = service.count(asked), service.count('discovery_lookup_problems_total{word="bad_n"')
    users = service.count('discovery_lookup_answers_total{kind="fallback"')
    service.ask("/v1/lists/5")
    service.ask("/v1/lists/5?n=0")
    service.post({"users": ["5", "6", "x"]})
    assert (service.count(asked), service.count('discovery_lookup_problems_total{word="bad_n"')) == (
        before[0] + 1,
        before[1] + 1,
    )
    assert service.count('discovery_lookup_answers_total{kind="fallback"') == users + 3
    assert 0 <= service.count("discovery_lookup_pointer_age_seconds{") < 60
    assert TOKEN not in service.said
