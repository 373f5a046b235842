import hashlib
import json
from typing import Any

import pytest

from publish.errors import MalformedMessage
from publish.wire.announcement import Announcement, decode_fallback
from publish.wire.codec import decode
from tests.publish.support.samples import announcement_of

BIG = 2**63 - 1  # a JSON number would lose its last digits in many languages
ANNOUNCEMENT = announcement_of({1: [10, 11], 2: [12], 3: []}, fallback=(BIG, -1))


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(ANNOUNCEMENT.canonical) | changes).encode()


def test_it_survives_its_json_and_the_hash_is_of_the_stored_bytes() -> None:
    again = Announcement.from_json(ANNOUNCEMENT.canonical)
    assert again == ANNOUNCEMENT
    assert again.canonical == ANNOUNCEMENT.canonical
    assert again.hash == hashlib.sha256(ANNOUNCEMENT.canonical).hexdigest()


def test_the_hash_ignores_how_the_json_is_written() -> None:
    loose = json.dumps(json.loads(ANNOUNCEMENT.canonical), indent=2)
    assert Announcement.from_json(loose).hash == ANNOUNCEMENT.hash


def test_any_change_changes_the_hash() -> None:
    assert Announcement.from_json(changed(share_bp=1)).hash != ANNOUNCEMENT.hash


def test_totals_and_layout() -> None:
    assert ANNOUNCEMENT.users == 3
    assert ANNOUNCEMENT.total_bytes == sum(piece.bytes for piece in ANNOUNCEMENT.slices)
    assert ANNOUNCEMENT.layout.tags == ANNOUNCEMENT.tags


def test_the_fallback_keeps_64_bit_ids() -> None:
    assert decode(decode_fallback(ANNOUNCEMENT.fallback), "int64").source_ids == (BIG, -1)


def test_a_run_without_a_control_is_as_older_versions_know_it() -> None:
    assert {"role", "control", "replicas"}.isdisjoint(json.loads(ANNOUNCEMENT.canonical))
    control = Announcement.from_json(changed(role="control"))
    treatment = Announcement.from_json(changed(control="other"))
    assert (control.role, treatment.role, treatment.control) == ("control", "treatment", "other")
    for run in (control, treatment):
        assert Announcement.from_json(run.canonical) == run


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "announcement"),
        (b"{}", "run"),
        (changed(unknown=1), "unknown"),
        (changed(format=2), "format"),
        (changed(run="a:b"), "run"),  # would break the keys
        (changed(tags=["t"]), "1 tags for 3 partitions"),
        (changed(slices=[]), "slices must be of the partitions 0 … 2"),
        (changed(fallback="no base64!"), "announcement"),
        (changed(created_at="2026-11-16T03:00:00"), "created_at"),  # no time zone
        (changed(share_bp=10_001), "share_bp"),
        (changed(role="other"), "role"),
        (changed(role="control", control="other"), "no control of its own"),
        (changed(control=ANNOUNCEMENT.run), "no control of its own"),
    ],
)
def test_one_that_cannot_be_is_refused(raw: bytes, where: str) -> None:
    with pytest.raises(MalformedMessage, match=where):
        Announcement.from_json(raw)
