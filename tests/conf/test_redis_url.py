"""REDIS_URL: what it says reaches the client as written, and anything else is refused without a word of it."""

from typing import Any
from urllib.parse import quote

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from conf.connections import RedisConnection
from conf.environment import Environment
from conf.errors import ConfigError
from conf.redis_url import RedisPlace, parse_redis_url
from publish.connect.redis_clients import _connect

SECRET = "planted~secret"
SCHEMES = ["redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"]
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
ODD = ["/", "//", "/abc", "/-1", "/１", "/07", "/0/1", "/lists", "/lists/0", "/a/b/c", "?db=x", "#", ",", ":x"]
OPTIONS = f"""
    db db= db=1 protocol=3 encoding=latin1 decode_responses=True nonsense=1 retry_on_timeout=yes connection_class=x
    socket_timeout=0 socket_timeout=nan socket_timeout=2.5 socket_connect_timeout=1e9 health_check_interval=0
    max_connections=1 ssl_cert_reqs=none password={SECRET} sentinel_password={SECRET}
""".split()


def client_of(url: str) -> dict[str, Any]:
    """What a client of a server, a socket or a master is made with; nothing is connected."""
    client = _connect(RedisConnection.of(url), 5.0)
    assert isinstance(client, redis.Redis)
    return dict(client.connection_pool.connection_kwargs)


def refused(url: str) -> str:
    """What is said of a URL in the environment that cannot be used."""
    with pytest.raises(ConfigError) as caught:
        read(url)
    return str(caught.value)


def read(url: str) -> Environment:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", url)
        return Environment.read()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://", "redis://localhost:6379/0"),
        (f"redis://eva:{SECRET}@store:6379/3", "redis://***@store:6379/3"),
        (f"REDISS://:{SECRET}@store", "rediss://***@store:6379/0"),
        ("redis://[::1]:7000?db=3", "redis://[::1]:7000/3"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock"),
        ("redis+cluster://a:1,b,[::1]:2", "redis+cluster://a:1,b:6379,[::1]:2"),
        (f"rediss+sentinel://a,b:1/lists/4?sentinel_password={SECRET}", "rediss+sentinel://a:26379,b:1/lists/4"),
    ],
)
def test_what_can_be_a_place(url: str, address: str) -> None:
    assert RedisConnection.of(url).address == address


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"eva:{SECRET}@store", "is not an address of Redis; write redis://"),
        (SECRET, "is not an address of Redis"),
        (f"redis:/{SECRET}@store", "is not an address of Redis"),
        (f"https://{SECRET}", "is not an address of Redis"),
        (f"redis://{SECRET}@[::1", "is not an address of Redis"),
        (f"redis://store:1/0\n{SECRET}", "line breaks"),
        (f"redis://eva:12/{SECRET}@store", "%2F, %3F and %23"),
        (f"redis://eva:12?{SECRET}@store", "%2F, %3F and %23"),
        (f"redis://eva:12#{SECRET}@store", "%2F, %3F and %23"),
        (f"redis://eva:%FF{SECRET}@store", "not UTF-8"),
        ("redis://store:6379/abc", "number of its database"),
        ("redis://store:6379/１", "number of its database"),
        ("redis://store:6379/00", "number of its database"),
        ("redis://store:6379/-1", "number of its database"),
        ("redis://store:6379/0/1", "number of its database"),
        ("unix:///run/redis.sock?db=two", "number of its database"),
        ("redis://store:6379/0?db=1", "database twice"),
        ("redis+cluster://store:6379/1", "has only 0"),
        (f"redis://eva:{SECRET}@store:x/0", "host or port"),
        (f"redis://eva:{SECRET}@store:70000", "host or port"),
        (f"redis://eva:{SECRET}@a..b", "host or port"),
        (f"redis+cluster://eva:{SECRET}@a,,b", "host or port"),
        ("redis+cluster://", "host or port"),
        ("redis://a,b", "redis+cluster://"),
        ("redis+sentinel://a:1", "service of its Sentinels"),
        ("redis+sentinel://a:1/lists/0/0", "service of its Sentinels"),
        ("unix://store/run/redis.sock", "host before the socket"),
        ("unix://", "file of its socket"),
        ("redis://store?decode_responses=True", "an option decode_responses that it cannot have"),
        ("redis://store?encoding=latin1", "an option encoding"),
        ("redis://store?nonsense=1", "an option nonsense"),
        ("redis+cluster://store?protocol=2", "an option protocol"),
        ("redis+sentinel://store/lists?retry_on_timeout=1", "an option retry_on_timeout"),
        ("rediss://store?ssl_cert_reqs=none", "an option ssl_cert_reqs"),
        ("unix:///run/redis.sock?health_check_interval=0", "an option health_check_interval"),
        (f"redis://store?password={SECRET}", "an option password"),
        (f"redis://store?{SECRET}", "an option that it cannot have"),
        ("redis://store?socket_timeout=0", "not a number of seconds"),
        ("redis://store?socket_timeout=1&socket_timeout=2", "twice"),
    ],
)
def test_what_cannot_is_refused_with_what_to_write(url: str, said: str) -> None:
    text = refused(url)
    assert text.startswith("REDIS_URL: ")
    assert said in text
    assert SECRET not in text


@given(st.sampled_from(["redis", "rediss", "unix", "redis+sentinel"]), WORDS, WORDS)
def test_any_user_and_password_work_when_written_so(scheme: str, user: str, password: str) -> None:
    rest = {"unix": "/run/redis.sock", "redis+sentinel": "a:1/lists"}.get(scheme, "store")
    made_with = client_of(f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}")
    assert (made_with["username"], made_with["password"]) == (user, password)


def test_credentials_outside_the_url_fill_in_what_it_leaves_open() -> None:
    store = RedisConnection(url=SecretStr("redis://eva@store"), username="adam", password=SecretStr(SECRET))
    client = _connect(store, 5.0)
    assert isinstance(client, redis.Redis)
    made_with = client.connection_pool.connection_kwargs
    assert (made_with["username"], made_with["password"]) == ("eva", SECRET)


@given(
    scheme=st.sampled_from(SCHEMES),
    user=st.sampled_from(["", f"eva:{SECRET}@", f":{SECRET}@", f"{SECRET}@", f"a:/{SECRET}@", f"a:%zz{SECRET}@"]),
    hosts=st.sampled_from(["store", "store:6379", "a,b:2", "[::1]:1", "", "a b", "ä", "store:0"]) | WORDS,
    path=st.just("") | st.sampled_from(ODD) | st.text(max_size=5),
    options=st.lists(st.sampled_from(OPTIONS), max_size=3),
)
def test_a_url_gives_a_client_that_reads_bytes_or_is_refused(
    scheme: str, user: str, hosts: str, path: str, options: list[str]
) -> None:
    url = f"{scheme}://{user}{hosts}{path}{'?' if options else ''}{'&'.join(options)}"
    place = place_or_why(url)
    if isinstance(place, str):
        assert SECRET not in place
        return
    assert SECRET not in place.address + repr(place)
    if place.way != "cluster":
        reads_bytes(url, place)


@given(st.text(max_size=30))
def test_any_text_is_a_place_or_refused(text: str) -> None:
    place_or_why(text)


def place_or_why(url: str) -> RedisPlace | str:
    try:
        return parse_redis_url(url)
    except ValueError as error:
        return str(error)


def reads_bytes(url: str, place: RedisPlace) -> None:
    made_with = client_of(url)
    assert made_with["decode_responses"] is False
    assert made_with.get("protocol") is None
    assert 0 < made_with["socket_timeout"] <= 600
    assert made_with["db"] == place.database
