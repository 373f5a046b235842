"""`discovery experiment`: open, status, close, as text and JSON, and what is refused."""

import os
from pathlib import Path

import pytest
import redis
import yaml

from conf.share import Share
from jobs.decide_share import decide_share
from jobs.experiments.decisions import DecisionRecord, DecisionStore
from jobs.experiments.store import ExperimentStore
from jobs.experiments.weeks import WeekStore
from jobs.storage.store import Storage
from publish.runs.lease import Lease
from publish.wire.keys import ProductKeys
from tests.jobs.commands import Discovery
from tests.jobs.experiments.measured import measured
from tests.publish.support.pushing import publish_directly


def set_control(control: str) -> None:
    set_rollout("control", control)


def set_rollout(name: str, value: object) -> None:
    config = Path(os.environ["DISCOVERY_CONFIG"])
    tree = yaml.safe_load(config.read_text())
    tree["rollout"][name] = value
    config.write_text(yaml.safe_dump(tree))


def test_open_status_close(discovery: Discovery, product: str) -> None:
    assert "had no experiment yet" in discovery("experiment", "status").log
    said = discovery("experiment", "open", "bigger", "--json")
    assert said.code == 0, said.log
    assert (said.data["name"], said.data["control"], said.data["product"]) == ("bigger", "none", product)
    assert said.data["salt"].startswith("bigger-")
    second = discovery("experiment", "open", "other")
    assert (second.code, "bigger of" in second.log) == (2, True)
    shown = discovery("experiment", "status")
    assert "none: nothing of ours" in shown.out
    assert f"experiments/{product}/bigger" in shown.out
    assert discovery("experiment", "status", "bigger", "--json").data["closed"] is None
    assert "--reason" in discovery("experiment", "close").log
    assert "is closed" in discovery("experiment", "close", "--reason", "no effect").out
    assert discovery("experiment", "status", "--json").data["reason"] == "no effect"
    assert discovery("experiment", "close", "--reason", "again").code == 2
    assert "already" in discovery("experiment", "open", "bigger").log


def test_what_is_refused(discovery: Discovery) -> None:
    set_control("pinned")
    said = discovery("experiment", "open", "bigger")
    assert (said.code, "nothing serves for" in said.log) == (2, True)
    assert "lower-case letters" in discovery("experiment", "open", "Bigger!").log
    assert "there is no experiment" in discovery("experiment", "status", "unknown").log
    for day in ("2020-01-01", "soon"):
        assert discovery("experiment", "open", "bigger", "--first-day", day).code == 2


def test_a_plan_counts_the_control(discovery: Discovery) -> None:
    alone = discovery("plan", "--users", "100", "--share", "50", "--json").data
    set_control("popular")
    assert discovery("experiment", "open", "bigger").code == 0
    both = discovery("plan", "--users", "100", "--share", "50", "--json").data
    assert (alone["control"], both["control"]["records"], both["lists"]["records"]) == (None, 200, 100)
    assert both["run_bytes"] > 2 * alone["run_bytes"]
    assert "control  200 of" in discovery("plan", "--users", "100", "--share", "50").out


def test_not_while_a_run_is_under_way(discovery: Discovery, product: str, client: redis.Redis) -> None:
    with Lease.acquire(client, ProductKeys(product), "20261116T030000Z-20261116-1"):
        said = discovery("experiment", "open", "bigger")
    assert (said.code, "is under way, without the experiment" in said.log) == (2, True)
    assert discovery("experiment", "open", "bigger").code == 0


def test_commands_show_both_arms(discovery: Discovery, product: str, client: redis.Redis) -> None:
    pairs = []
    for _ in range(2):
        control = publish_directly(client, product, role="control")
        treatment = publish_directly(client, product, 30, control=control.run, share_bp=5_000, first=True)
        assert f"waiting       {control.run} (a control" in discovery("status").out
        assert discovery("promote", treatment.run).code == 0
        pairs.append((control.run, treatment.run))
    (before, previous), (control, treatment) = pairs
    status = discovery("status").out
    assert f"control arm   {control}" in status
    assert f"roll back to  {previous}, with {before}" in status
    rows = {line.split()[0]: line.split()[3] for line in discovery("runs").out.splitlines()[1:]}
    assert rows == {
        before: "previous_control",
        previous: "previous",
        control: "control",
        treatment: "treatment",
    }
    assert f"0 % of the audience are served by {treatment}, the others by {control}" in discovery("share", "0").out
    assert f"from    {control}" in discovery("lookup", "7").out
    assert f"so is its control, run {control}" in discovery("verify", treatment).out
    changes = discovery("history", "--json").data["changes"]
    assert [change["control"] for change in changes] == [before, control, control]


@pytest.mark.parametrize("control", ["champion", "None", ""])
def test_controls_that_do_not_exist(discovery: Discovery, control: str) -> None:
    set_control(control)
    assert "rollout.control" in discovery("experiment", "open", "bigger").log


def test_a_plan_before_anything_is_measured(discovery: Discovery) -> None:
    asked = ("experiment", "plan", "--share", "25", "--weeks", "2")
    assert "give --users, --mean and --sd" in discovery(*asked).log
    given = discovery(*asked, "--users", "100000", "--mean", "1", "--sd", "2", "--json")
    assert given.code == 0, given.log
    assert [week["share_bp"] for week in given.data["metrics"][0]["weeks"]] == [2_500, 2_500]
    assert "assumed: two weeks" in discovery(*asked, "--users", "100000", "--mean", "1", "--sd", "2").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--share", "0"), "one arm would be empty"),
        (("--share", "100"), "one arm would be empty"),
        (("--share", "25", "--mean", "1"), "--mean and --sd go together"),
        (("--share", "25", "--users", "9", "--mean", "1", "--sd", "0"), "a standard deviation is above it"),
        (("--share", "25", "--correlation", "0.5"), "goes with --mean"),
        (("--share", "25", "--metric", "clicks"), "is no metric"),
        (("unknown", "--share", "25"), "there is no experiment"),
    ],
)
def test_plans_that_are_refused(discovery: Discovery, words: tuple[str, ...], said: str) -> None:
    refused = discovery("experiment", "plan", *words)
    assert (refused.code, said in refused.log) == (2, True), refused.log


def test_a_first_step_of_too_few_users_is_warned_of(discovery: Discovery, product: str, client: redis.Redis) -> None:
    assert discovery("experiment", "open", "nobody-knows", "--json").data["warnings"] == []
    assert discovery("experiment", "close", "--reason", "for the next one").code == 0
    publish_directly(client, product, 60, share_bp=2_500, first=True)
    set_rollout("ramp", {"steps": [10, 50]})
    said = discovery("experiment", "open", "small")
    assert said.code == 0, said.log
    assert "warning    an audience of 240 users is too small" in said.out
    asked = ("experiment", "plan", "--users", "4000", "--mean", "1", "--sd", "2")
    assert "warning: the first share 10 % treats about 400 of 4,000 users" in discovery(*asked).out


def test_report_and_plan_of_what_is_measured(discovery: Discovery, product: str, tmp_path: Path) -> None:
    assert "had no experiment yet" in discovery("experiment", "report").log
    assert discovery("experiment", "open", "bigger").code == 0
    assert "no week is measured yet" in discovery("experiment", "report").log
    assert "there is no experiment" in discovery("experiment", "report", "unknown").log
    home = Storage(os.environ["DISCOVERY_HOME"])
    lifts = {"new": 0.1, "events": 0.0, "answers": 0.0}
    measured(WeekStore.of(ExperimentStore.of(home, product), "bigger"), [2_500, 2_500], lifts)
    page = tmp_path / "page.html"
    said = discovery("experiment", "report", "--metric", "answers", "--page", str(page))
    assert said.code == 0, said.log
    assert said.out.startswith("More new (+")
    assert "<h1>More new (+" in page.read_text()
    shown = discovery("experiment", "report", "bigger", "--json").data
    assert (shown["effects"][0]["metric"], shown["judged_by"]["weeks"]) == ("new", 8)
    assert "cannot be written" in discovery("experiment", "report", "--page", str(tmp_path / "no" / "page")).log
    assert "is no metric" in discovery("experiment", "report", "--metric", "clicks").log
    plan = discovery("experiment", "plan", "--share", "25", "--weeks", "3")
    assert "by weeks 1 to 2 of experiment bigger" in plan.out
    assert "40,000 users, mean 1" in plan.out


def test_decide_and_approve(discovery: Discovery, product: str) -> None:
    said = discovery("experiment", "decide", "--json")
    assert (said.code, said.data) == (0, {"audience_share": None, "decision": None})
    set_rollout("ramp", {"steps": [1, 5]})
    assert "the share of the settings" in discovery("experiment", "decide").out
    assert "so there is no share to approve" in discovery("experiment", "approve", "5").log
    assert discovery("experiment", "open", "bigger").code == 0
    said = discovery("experiment", "decide", "--json")
    assert said.data["audience_share"] == 0.01
    assert said.data["decision"]["reasons"] == ["the first step"]
    assert discovery("experiment", "decide", "--json").data == said.data
    assert "week 0: raise at 1 %: the first step" in discovery("experiment", "decide").out
    assert "up to 5 %, a step a week" in discovery("experiment", "approve", "5", "--reason", "looks fine").out
    shown = discovery("experiment", "status")
    assert "raise at 1 %: the first step" in shown.out
    assert "approved   up to 5 %" in shown.out
    assert "(looks fine)" in shown.out
    data = discovery("experiment", "status", "--json").data
    assert [len(data[name]) for name in ("decisions", "approvals")] == [1, 1]


def test_what_is_no_day_and_no_approval(discovery: Discovery) -> None:
    set_rollout("ramp", {"steps": [1, 5]})
    assert discovery("experiment", "open", "bigger").code == 0
    for words, said in (
        (("decide", "--as-of", "2999-01-01"), "is in the future"),
        (("decide", "--as-of", "soon"), "--as-of"),
        (("approve", "7"), "is no step of rollout.ramp; the steps are 1 %, 5 %"),
        (("approve", "500"), "outside 0 … 100 %"),
    ):
        found = discovery("experiment", *words)
        assert (found.code, said in found.log) == (2, True), found.log
    set_rollout("ramp", {"approve": "auto", "guardrails": {"events": {}}})
    assert "nothing waits for an approval" in discovery("experiment", "approve", "5").log
    set_rollout("ramp", None)
    assert "there is no rollout.ramp" in discovery("experiment", "approve", "5").log


def test_a_stop_ends_with_a_code_of_its_own_and_is_done_once(
    discovery: Discovery, product: str, client: redis.Redis
) -> None:
    set_rollout("ramp", {"steps": [1, 5]})
    assert discovery("experiment", "open", "bigger").code == 0
    for _ in range(2):
        run = publish_directly(
            client, product, salt=discovery("experiment", "status", "--json").data["salt"], first=True
        )
        assert discovery("promote", run.run).code == 0
    made = DecisionRecord.model_validate(discovery("experiment", "decide", "--json").data["decision"])
    store = DecisionStore.of(ExperimentStore.of(Storage(os.environ["DISCOVERY_HOME"]), product), "bigger")
    store.write(made.model_copy(update={"action": "stop", "share_bp": Share(0), "reasons": ("events fell",)}))
    said = discovery("experiment", "decide", "--json")
    assert (said.code, said.data["audience_share"]) == (4, None)
    assert said.data["decision"]["enforced"][1].startswith(f"rolled back from {run.run} to ")
    pointer = discovery("status", "--json").data["pointer"]
    assert (pointer["cap_bp"], pointer["share_bp"]) == (0, 0)
    assert "discovery experiment close" in discovery("experiment", "decide").out
    assert "events fell" in discovery("experiment", "status").out
    assert "was stopped" in discovery("experiment", "approve", "5").log
    with pytest.raises(SystemExit) as end:
        decide_share(["--config", os.environ["DISCOVERY_CONFIG"], "--as-of", made.as_of.isoformat()])
    assert end.value.code == 4
    assert discovery("status", "--json").data["pointer"]["rev"] == pointer["rev"]
