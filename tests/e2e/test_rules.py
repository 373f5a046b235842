"""What a run may be: its share, the first and those after it, the id it is resumed by, and how it is stopped."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.share import Share
from jobs.run.context import Run
from jobs.run.run_id import RunId
from jobs.stages.publish import publish_topn
from publish.runs.pointer import PointerStore
from publish.runs.promotion import Promoter
from publish.runs.registry import RunRegistry
from tests.e2e.conftest import LAST, Literal, write_days
from tests.e2e.product import Product, Servers
from tests.features.world import ago
from tests.publish.support.pushing import publish_directly

AS_OF = ("--as-of", str(LAST))
Named = Callable[[str], Product]


def nothing(run: Run) -> None:
    """The work of a run that is only opened."""


@pytest.fixture
def named(servers: Servers, tmp_path: Path) -> Named:
    def build(name: str) -> Product:
        settings = write_days(tmp_path / "data", Literal.crowd(), product=name)
        return Product.create(servers, tmp_path / "home", settings)

    return build


def serving(product: Product) -> str:
    """Lets a run serve that no folder of this product knows."""
    run = publish_directly(product.client, product.name, first=True)
    Promoter(RunRegistry(product.client, product.name), PointerStore(product.client, product.name)).promote(run.run)
    return run.run


@pytest.mark.parametrize(
    ("largest", "usual", "flags", "share"),
    [
        (0.25, 1.0, [], 2_500),  # by hand: at most max_manual_share
        (0.25, 0.1, [], 1_000),  # and no more than the product's own share
        (0.25, 0.1, ["--audience-share", "0.2"], 2_000),
        (0.25, 1.0, ["--trigger-id", "scheduled__1"], 10_000),  # the scheduler may serve everybody
        (0.25, 1.0, ["--trigger-id", "scheduled__1", "--audience-share", "0.5"], 5_000),
    ],
)
def test_the_share_of_a_run(named: Named, largest: float, usual: float, flags: list[str], share: int) -> None:
    product = named("share").change({"rollout": {"max_manual_share": largest, "share": usual}})
    ended = product.run(*AS_OF, "--first", *flags, work=nothing)
    assert ended.code == 0, ended.log
    request = product.manifest(product.run_ids[-1]).request
    assert request.share_bp == Share(share)
    assert request.scheduled == ("--trigger-id" in flags)
    assert f"{Share(share)} of the audience" in ended.log


@pytest.mark.parametrize(
    ("largest", "flags"),
    [
        (0.25, ["--audience-share", "0"]),  # by hand
        (0.0, []),  # no manual runs at all
        (0.25, ["--trigger-id", "scheduled__1", "--audience-share", "0"]),
    ],
)
def test_a_share_of_nobody_is_refused(named: Named, largest: float, flags: list[str]) -> None:
    product = named("nobody").change({"rollout": {"max_manual_share": largest}})
    ended = product.run(*AS_OF, "--first", *flags, work=nothing)
    assert ended.code == 2
    assert "makes lists for nobody" in ended.log


def test_the_first_run_must_be_said_and_no_other(named: Named) -> None:
    product = named("first_or_not")
    ended = product.run(*AS_OF, work=nothing)
    assert ended.code == 2
    assert "nothing serves for first_or_not yet" in ended.log
    assert "--first" in ended.log
    assert product.run_ids == []
    run = serving(product)
    ended = product.run(*AS_OF, "--first", work=nothing)
    assert ended.code == 2
    assert f"run {run} serves already; start without it" in ended.log
    assert product.run(*AS_OF, work=nothing).code == 0


def test_a_baseline_that_is_gone_is_told_before_any_work(named: Named) -> None:
    product = named("no_baseline")
    run = serving(product)
    ended = product.run(*AS_OF)
    assert ended.code == 2
    assert f"run {run} serves, but" in ended.log
    assert "restore that folder, or set DISCOVERY_HOME" in ended.log
    assert not (product.home / "partials").exists()


def test_an_older_day_is_not_published(named: Named) -> None:
    product = named("older")
    serving(product)  # as of 2026-11-16

    def refuse(run: Run) -> None:
        run.servers.refuse_older(run.manifest.request)

    older = ["--as-of", str(ago(7))]
    ended = product.run(*older, work=refuse)
    assert ended.code == 2
    assert f"is as of {ago(7)}" in ended.log
    assert "--publish-old" in ended.log
    assert product.run(*older, "--publish-old", work=refuse).code == 0
    assert product.run(*AS_OF, work=refuse).code == 0


def test_what_no_gate_has_seen_is_not_published(named: Named) -> None:
    product = named("unjudged")
    before = product.published()
    ended = product.run(*AS_OF, "--first", work=publish_topn)
    assert ended.code == 2
    assert "has no report of gate inputs; run the stages before this one first" in ended.log
    assert product.published() == before


def test_an_override_of_nothing_is_refused_at_once(named: Named) -> None:
    ended = named("overridden").run(*AS_OF, "--first", "--override", "max_wieght=new app", work=nothing)
    assert ended.code == 2
    assert "max_weight" in ended.log


def test_a_run_id_belongs_to_one_request(named: Named) -> None:
    product, run = named("resumed"), "20261116T030000Z-20261116-4"
    flags = (*AS_OF, "--first", "--run-id", run)
    assert product.run(*flags, work=nothing).code == 0
    before = product.manifest(run)
    assert product.run(*flags, work=nothing).code == 0
    assert product.manifest(run) == before
    for more, words in (
        (["--audience-share", "0.5"], "share_bp is 10000 there and 5000 here"),
        (["--override", "max_weight=why"], "overrides is {} there"),
        (["--trigger-id", "scheduled__1"], "trigger_id is None there and 'scheduled__1' here"),
    ):
        ended = product.run(*flags, *more, work=nothing)
        assert ended.code == 2
        assert words in ended.log
        assert "start a new run without --run-id" in ended.log
    assert product.manifest(run) == before
    assert product.run(*AS_OF, "--first", work=nothing).code == 0
    assert RunId.parse(product.run_ids[-1]).attempt == 5  # the next attempt at that day


def test_a_stopped_run_says_how_to_go_on(named: Named, capfd: pytest.CaptureFixture[str]) -> None:
    product = named("stopped")
    ended = product.run(*AS_OF, "--first", work=lambda run: os.kill(os.getpid(), signal.SIGTERM))
    assert ended.code == 130
    (run,) = product.run_ids
    assert f"--run-id {run}" in ended.log
    assert "interrupted; start again with the same --run-id" in capfd.readouterr().err, "written past the log, at once"
    assert product.manifest(run).failure is not None
    assert product.run(*AS_OF, "--first", "--run-id", run, work=nothing).code == 0  # its lease was given back


def test_a_fault_of_ours_is_not_dressed_up(named: Named) -> None:
    product = named("bug")

    def broken(run: Run) -> None:
        raise ZeroDivisionError("of ours")

    with pytest.raises(ZeroDivisionError):  # with its traceback, and exit code 1 of the interpreter
        product.run(*AS_OF, "--first", work=broken)
    assert product.manifest(product.run_ids[0]).failure == "ZeroDivisionError: of ours"
