"""An experiment from its opening to its end: both arms are made, published, promoted and rolled back together.

First with a control that is pinned to what served, then with one of popular sources.
"""

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.contract import EXCLUSION_REASONS
from conf.ids import arm_of
from expectations.lists import ListProfile
from expectations.report import GateReport
from jobs.stages.features import build_features
from jobs.stages.lists import precompute_topn
from jobs.stages.publish import publish_topn
from jobs.stages.training.train import train_embeddings
from jobs.storage.gate_reports import report_file
from publish.runs.pointer import Pointer
from tests.e2e.conftest import LAST, write_day
from tests.e2e.explained import check_list, explained
from tests.e2e.product import Make, Product
from tests.e2e.refusals import FIRST, refused
from tests.features.world import events

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEXT = LAST + dt.timedelta(days=1)
USERS = range(1, 41)


def test_from_opening_to_the_end(make: Make, shared_spark: "SparkSession") -> None:
    served = make()
    with served.loading():
        assert served.run(*FIRST).code == 0
        (first,) = served.run_ids
        assert "both sides would be the same" in changed(served, "pinned").discovery("experiment", "open", "same").log
        product = changed(served, "pinned", train={"factors": 4})
        assert product.discovery("experiment", "open", "smaller").code == 0

        one = weekly(product, LAST)
        assert (one.previous, one.previous_control) == (first, None)
        check_pinned_pair(product, one, before=(first, first))
        other = product.change({"train": {"factors": 6}})
        refused(other, "--as-of", str(LAST), said=("experiment smaller", "train.factors is 4 there and 6 now", "close"))

        write_day(
            Path(product.settings.data_root) / "clicks" / f"dt={LAST}",
            events(LAST, (1, 105, "click"), (2, 111, "click")),
        )
        two = by_stages(product, NEXT)
        assert (two.previous, two.previous_control) == (one.treatment, one.control)
        check_pinned_pair(product, two, before=(one.control, one.treatment))
        check_answers(product, two)
        check_operators_view(product, two)

        assert "0 % of the audience" in product.discovery("share", "0").out  # the kill switch
        assert {product.reader.lookup(user).run for user in USERS} == {two.control}
        assert product.discovery("share", "100").code == 0
        assert product.discovery("rollback", "--reason", "complaints").code == 0
        back = product.published().pointer
        assert (back.treatment, back.control) == (one.treatment, one.control)
        assert product.discovery("unhold").code == 0

        assert product.discovery("experiment", "close", "--reason", "no effect").code == 0
        product = changed(served, "popular")
        assert product.discovery("experiment", "open", "against-popular").code == 0
        three = weekly(product, NEXT)
        assert three.salt != two.salt
        check_popular_control(product, three)
        check_explanations(product, three)


def changed(product: Product, control: str, **more: Any) -> Product:
    return product.change({"rollout": {"control": control, "share": 0.5}, **more})


def weekly(product: Product, as_of: dt.date) -> Pointer:
    """The pointer after the weekly job."""
    ended = product.run("--as-of", str(as_of))
    assert ended.code == 0, ended.log
    return both_serve(product)


def by_stages(product: Product, as_of: dt.date) -> Pointer:
    """The same by the entries of the stages, each in a start of its own, as the DAG does it."""
    run = f"{as_of:%Y%m%d}T030000Z-{as_of:%Y%m%d}-1"
    for stage in (build_features, train_embeddings, precompute_topn, publish_topn):
        ended = product.run("--as-of", str(as_of), "--run-id", run, work=stage)
        assert ended.code == 0, ended.log
        assert {run, f"{run}-control"} < {*product.run_ids}
    assert product.discovery("wait", run).code == 0
    return both_serve(product)


def both_serve(product: Product) -> Pointer:
    pointer = product.published().pointer
    assert pointer.control == f"{pointer.treatment}-control"
    assert int(pointer.share_bp) == 5_000
    return pointer


def check_pinned_pair(product: Product, pointer: Pointer, *, before: tuple[str | None, str | None]) -> None:
    """Each is of its own recipe, compared with the run before of its own arm, and nobody competed."""
    assert pointer.control is not None
    assert pointer.treatment is not None
    control, treatment = product.manifest(pointer.control), product.manifest(pointer.treatment)
    assert (control.serving_before, treatment.serving_before) == before
    assert [int(made.request.share_bp) for made in (control, treatment)] == [10_000, 5_000]
    assert [made.settings["train"]["factors"] for made in (control, treatment)] == [8, 4]
    assert {made.settings["rollout"]["salt"] for made in (control, treatment)} == {pointer.salt}
    assert {made.fact("train", "decision")["winner"] for made in (control, treatment)} == {"challenger"}
    assert control.epoch is not None
    assert treatment.epoch is not None
    assert control.epoch < treatment.epoch
    assert {"features", "train", "topn", "publish", "serve"} == control.stages.keys() == treatment.stages.keys()
    # daily partials are shared: the second of the two read no day again
    days = [record["partials_rebuilt"] for record in treatment.fact("features", "inputs")]
    assert not any(days)


def check_answers(product: Product, pointer: Pointer) -> None:
    """Everybody gets the list of the run of their arm."""
    lists = {
        run: {row["user_id"]: row["source_ids"] for row in product.folder(run).table("lists").to_table().to_pylist()}
        for run in (pointer.treatment, pointer.control)
        if run is not None
    }
    for user in USERS:
        treated = arm_of(user, pointer.salt) < 5_000
        answer = product.reader.lookup(user)
        run = pointer.treatment if treated else pointer.control
        assert (answer.arm, answer.run, answer.kind) == ("treatment" if treated else "control", run, "list")
        assert list(answer.source_ids) == lists[str(run)][user]
    assert lists[str(pointer.control)].keys() == {*USERS}
    named = {user for user in USERS if arm_of(user, pointer.salt) < 5_000}
    assert lists[str(pointer.treatment)].keys() == named
    check_count(product, str(pointer.treatment), len(named))
    check_count(product, str(pointer.control), len(USERS))


def check_count(product: Product, run: str, users: int) -> None:
    """Manifest, gate and Redis have a list for so many users, and the gate found none outside of the share."""
    manifest = product.manifest(run)
    report = GateReport.from_json(product.folder(run).read_bytes(report_file("lists")).decode())
    assert isinstance(report.profile, ListProfile)
    assert (report.profile.lists, report.profile.users, report.profile.outside_share) == (users, users, 0)
    assert manifest.fact("topn", "rows")["lists"] == users
    counts = manifest.fact("publish", "counts") | manifest.fact("serve", "counts")
    assert counts == dict.fromkeys(("computed", "produced", "loaded", "readable"), users)


def check_operators_view(product: Product, pointer: Pointer) -> None:
    """Status and runs show both; the model's champion is the treatment's; both are whole."""
    status = json.loads(product.discovery("status", "--json").out)
    assert status["pointer"]["control"] == pointer.control
    roles = {run["run"]: run["serves_as"] for run in json.loads(product.discovery("runs", "--json").out)}
    assert {role: run for run, role in roles.items() if role is not None} == pointer.named
    shown = json.loads(product.discovery("model", "show", "champion", "--json").out)
    assert shown["lineage"]["run_id"] == pointer.treatment
    assert "so is its control" in product.discovery("verify", str(pointer.treatment)).out


def check_explanations(product: Product, pointer: Pointer) -> None:
    """Of a list of popular sources: it is made again, without a word on what the user's own events added."""
    rows = product.folder(str(pointer.control)).table("lists").to_table().to_pylist()
    said = explained(product, rows[0]["user_id"], "--run", str(pointer.control))
    check_list(said, rows[0])
    assert (said["kind"], {*said["absent_by_rule"]}) == ("popular", {"seen"})
    assert not any(one["score"]["contributions"] for one in said["listed"])


def check_popular_control(product: Product, pointer: Pointer) -> None:
    """Each list is the most popular sources without those that its user may not get."""
    folder = product.folder(str(pointer.control))
    sources = folder.table("sources").to_table().to_pylist()
    users = Counter({row["source_id"]: row["users"] for row in sources if row["eligible"] and row["users"]})
    without: dict[int, set[int]] = {}
    for row in folder.table("exclusions").to_table().to_pylist():
        assert row["reason"] in EXCLUSION_REASONS
        without.setdefault(row["user_id"], set()).add(row["source_id"])
    for row in folder.table("lists").to_table().to_pylist():
        allowed = [users[source] for source in users if source not in without[row["user_id"]]]
        assert [users[source] for source in row["source_ids"]] == sorted(allowed, reverse=True)[:10]
        assert row["scores"] == [users[source] for source in row["source_ids"]]
    assert folder.table("lists").count_rows() == len(USERS)
    assert "model" not in product.manifest(str(pointer.control)).stages["train"].facts
