"""The records of the topic of exposures: what comes out is what went in, and whatever else there is is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.ids import IdKind, UserId
from conf.surface import MAX_SURFACE, is_surface
from publish.errors import MalformedMessage
from publish.exposure_pb2 import Exposure
from publish.exposures.message import (
    WRITER_KEY,
    Exposed,
    WriterCounts,
    decode_record,
    encode_exposure,
    encode_writer,
    writer_name,
)
from publish.read.reader import Answer

TS = 1_795_000_000_000
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
NUMBER = st.integers(-(2**63), 2**63 - 1)
IDS: dict[IdKind, st.SearchStrategy[UserId]] = {"int64": NUMBER, "string": TEXT}


@pytest.mark.parametrize("ids", ["int64", "string"])
@given(data=st.data())
def test_an_answer_comes_back(ids: IdKind, data: st.DataObject) -> None:
    answer = Answer(
        data.draw(IDS[ids]),
        data.draw(st.sampled_from(["treatment", "control"])),
        data.draw(st.integers(0, 10_000)),
        data.draw(st.none() | TEXT),
        data.draw(st.sampled_from(["list", "fallback", "control", "none"])),
        tuple(data.draw(st.lists(IDS[ids], max_size=5))),
    )
    surface = data.draw(st.from_regex(r"[a-z0-9_.-]{1,64}", fullmatch=True))
    ts, writer, seq = data.draw(st.integers(0, TS)), data.draw(st.integers(1, 2**64 - 1)), data.draw(st.integers(0, 9))
    key, value = encode_exposure(answer, surface, ts, writer, seq)
    assert key == str(answer.user_id).encode()
    assert decode_record(key, value, ids, "groups") == Exposed(
        answer.user_id,
        ts,
        surface,
        answer.kind,
        answer.arm,
        answer.share_bp,
        answer.run,
        answer.source_ids,
        writer_name(writer),
        seq,
    )


def test_a_writers_counts_come_back() -> None:
    counts = WriterCounts(writer_name(7), TS, 12, {"queue_full": 3}, 10_000, True)
    assert decode_record(WRITER_KEY, encode_writer(counts), "int64", "groups") == counts


@given(key=st.none() | st.binary(max_size=8), value=st.none() | st.binary(max_size=30))
def test_any_other_bytes_are_a_record_or_malformed(key: bytes | None, value: bytes | None) -> None:
    try:
        found = decode_record(key, value, "string", "groups")
    except MalformedMessage:
        return
    assert isinstance(found, Exposed | WriterCounts)


def exposure(**changes: object) -> bytes:
    fields = {"user_id": "7", "ts": TS, "surface": "home", "kind": 1, "arm": 1, "writer": 5, "seq": 0}
    return Exposure(**{**fields, **changes}).SerializeToString()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (b"7", None, "tombstone"),
        (None, exposure(), "null key"),
        (b"8", exposure(), "another user than its key"),
        (b"x", exposure(user_id="x"), "user is not of kind int64"),
        (b"7", exposure(kind=9), "unknown kind 9"),
        (b"7", exposure(arm=0), "arm 0"),
        (b"7", exposure(surface="Home Page"), "surface is not"),
        (b"7", exposure(source_names=["a"]), "another kind than int64"),
        (b"7", b"\xff\xff", "not a protobuf Exposure"),
        (b"", exposure(), "the value is no Writer"),
    ],
)
def test_what_is_refused_says_why(key: bytes | None, value: bytes | None, said: str) -> None:
    with pytest.raises(MalformedMessage, match=said):
        decode_record(key, value, "int64", "groups")


def test_surfaces() -> None:
    assert all(map(is_surface, ("default", "a", "feed.top-2_x", "a" * MAX_SURFACE)))
    assert not any(map(is_surface, ("", "Feed", "ü", "a b", "a\n", "a" * (MAX_SURFACE + 1))))
    with pytest.raises(ValueError, match="surface 'Feed'"):
        encode_exposure(Answer(1, "control", 0, None, "control"), "Feed", TS, 1, 0)
