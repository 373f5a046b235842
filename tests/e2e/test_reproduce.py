"""`discovery reproduce`: a run is made again bit for bit; what cannot be, or is not the same, is named."""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from conf.ids import arm_of
from jobs.run.context import Run
from jobs.stages.features import build_features
from jobs.stages.lists import precompute_topn
from jobs.stages.training.train import train_embeddings
from jobs.storage.bound_folder import MANIFEST
from tests.e2e.conftest import LAST, Literal
from tests.e2e.explained import check_list, check_pairs, explained
from tests.e2e.product import Make, Product
from tests.e2e.refusals import clicks_of
from tests.features.world import ago, events

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RUN = "20261116T030000Z-20261116-1"


def compute(run: Run) -> None:
    build_features(run)
    train_embeddings(run)
    precompute_topn(run)


def contents(product: Product) -> dict[str, str]:
    """Every file of the work folder, and its hash."""
    files = (path for path in product.home.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def edit_manifest(product: Product, *keys: str, value: object) -> None:
    manifest = json.loads(product.folder(RUN).read_bytes(MANIFEST))
    at = manifest
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    product.folder(RUN).write_bytes(MANIFEST, json.dumps(manifest).encode())


def flip_a_bit(product: Product, row: int) -> int:
    """Changes the last bit of a factor of a user; returns the user."""
    path = Path(product.folder(RUN).uri) / "user_factors" / "part-0.parquet"
    table = pq.read_table(path)
    factors: Any = table["factors"].combine_chunks()
    bits = factors.values.to_numpy(zero_copy_only=False).copy()
    bits.view("int32")[factors.offsets[row].as_py()] ^= 1
    changed = type(factors).from_arrays(factors.offsets, bits)
    pq.write_table(table.set_column(1, "factors", changed.cast(table.schema.field(1).type)), path)
    return int(table["user_id"][row].as_py())


def warm_run(product: Product) -> tuple[Product, str]:
    """RUN, which went on from the factors of the run that serves, by that one's recipe: it could not be judged."""
    with product.loading():
        first = product.run("--as-of", str(ago(1)), "--first")
    assert first.code == 0, first.log
    (served,) = product.run_ids
    changed = product.change({"interactions": {"half_life_days": 6.9}, "train": {"warm_iterations": 2}})
    changed = changed.change({"outcomes": {"shadow_share": 0.6}})
    second = changed.run("--as-of", str(LAST), "--run-id", RUN, "--audience-share", "0.5", work=compute)
    assert second.code == 0, second.log
    check_shadow_lists(changed)
    facts = changed.manifest(RUN).stages["train"].facts
    assert facts["decision"]["winner"] == "champion"
    assert facts["training"]["from_run"] == served
    assert facts["training"]["trained_on"] == "champion_interactions"
    return changed, served


def check_shadow_lists(product: Product) -> None:
    """Some of the users outside of the share have lists, by the same rules; none is counted or judged."""
    folder, facts = product.folder(RUN), product.manifest(RUN).stages["topn"].facts
    lists, shadow = (folder.table(name).to_table().to_pylist() for name in ("lists", "shadow"))
    sample = {"covered_bp": 5_000, "salt": "discovery-1", "share_bp": 6_000}
    assert facts["shadow"] == {"sample": sample, "rows": len(shadow)}
    assert facts["rows"]["lists"] == len(lists)
    assert {"shadow", "shadow.json"} <= product.manifest(RUN).stages["topn"].made.keys()
    assert all(arm_of(row["user_id"], "discovery-1") < 5_000 for row in lists)
    assert all(arm_of(row["user_id"], "discovery-1") >= 5_000 for row in shadow)
    assert all(arm_of(row["user_id"], "shadow|discovery-1") < 6_000 for row in shadow)
    excluded = {(row["user_id"], row["source_id"]) for row in folder.table("exclusions").to_table().to_pylist()}
    assert shadow
    assert not {(row["user_id"], source) for row in shadow for source in row["source_ids"]} & excluded
    said = explained(product, shadow[0]["user_id"], "--run", RUN)
    assert (said["kind"], said["in_share"], said["stored"]["row"]) == ("shadow", False, None)
    check_list(said, shadow[0])
    check_pairs(said)


def test_a_run_is_made_again_and_what_differs_is_named(
    make: Make, shared_spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCOVERY_CODE_VERSION", "v1")
    older = events(ago(4), *((user, 101 + user % 2 * 6 + user // 2 % 6, "click") for user in range(1, 41)))
    product, served = warm_run(make({**Literal.crowd(), 4: older}))
    assert product.manifest(RUN).excluded == ()
    ended = product.discovery(
        "drift", "exclude", "clicks", str(ago(1)), "--reason", "decided since: no part of the run"
    )
    assert (ended.code, "the next run will stop: dataset 'clicks'" in ended.log) == (0, True), ended.out
    before, published = contents(product), product.published()

    ended = product.discovery("reproduce", RUN)
    assert ended.code == 0, ended.out + ended.log
    what = "interactions, user factors, source factors, lists, shadow lists and fallback"
    assert ended.out.endswith(f"verdict  reproduced: {what} are the same, bit for bit\n")
    assert "differs  " not in ended.out
    assert contents(product) == before
    assert product.published() == published

    file = clicks_of(product) / f"dt={ago(2)}" / "part-0.parquet"
    os.utime(file, ns=(0, 0))
    monkeypatch.setenv("DISCOVERY_CODE_VERSION", "v2")
    edit_manifest(product, "libraries", "numpy", value="1.0")
    ended = product.discovery("reproduce", RUN)
    touched = f"input fingerprint: dataset clicks, {ago(2)}: written or touched since (40 rows then, 40 now)"
    code = "code version: features, train, topn by v1, here is v2"
    assert ended.code == 4
    assert ended.out.splitlines()[1:3] == [f"differs  {touched}", f"differs  {code}"]
    assert f"verdict  not made again: {touched}; --anyway" in ended.out
    assert not list((product.home / "reproduced").rglob("*.parquet"))

    user = flip_a_bit(product, row=16)
    ended = product.discovery("reproduce", RUN, "--anyway", "--keep", "--json")
    assert ended.code == 4
    told = json.loads(ended.out)
    assert [one["name"] for one in told["tables"] if not one["same"]] == ["user factors"]
    assert told["tables"][1]["differing"] == {"rows": 1, "of": 40, "first": f"user_id {user} (factors)"}
    assert [one["what"] for one in told["differences"]] == [
        "input fingerprint",
        "code version",
        "library version",
        "files",
        "manifest",
    ]
    assert told["differences"][2]["detail"].startswith("numpy 1.0 then, ")
    assert told["verdict"].endswith(f"; what differs in its making: {touched}")
    assert (Path(told["kept"]) / "run" / "lists").is_dir()

    (file.parent / "_SUCCESS").unlink()
    edit_manifest(product, "settings", "train", "seed", value=8)
    edit_manifest(product, "stages", "train", "facts", "training", "threads", value=64)
    product.folder(served).delete("source_factors")
    told = json.loads(product.discovery("reproduce", RUN, "--json").out)
    assert [(one["what"], one["certain"]) for one in told["differences"]] == [
        ("config", True),
        ("input fingerprint", True),
        ("start", True),
        ("code version", False),
        ("library version", False),
        ("thread count", False),
        ("files", False),
        ("manifest", False),
    ]
    assert told["differences"][1]["detail"] == f"dataset clicks, {ago(2)}: the partition of 40 rows is unfinished now"
    assert f"factors of run {served}, which are gone" in told["differences"][2]["detail"]
    assert (told["reproduced"], told["tables"]) == (False, [])

    product.folder(RUN).delete("lists")
    ended = product.discovery("reproduce", RUN)
    assert (ended.code, "has no lists in" in ended.log) == (2, True)
    ended = product.discovery("reproduce", RUN.replace("-1", "-2"))
    assert (ended.code, "has no manifest in" in ended.log) == (2, True)
