"""`discovery report`: the page of a run, also of the newest, of one that stopped, and of one that has none yet."""

import webbrowser
from pathlib import Path

import pytest

from jobs.run.manifest import Manifest, run_folder, save_manifest
from jobs.run.report import REPORT
from jobs.storage.store import Storage
from tests.jobs.commands import NOBODY, Discovery
from tests.jobs.runs import manifest_of

OLD, NEW = "20261109T030000Z-20261109-1", "20261116T030000Z-20261116-1"


def keep(home: Path, product: str, run: str) -> Path:
    """A run that has begun; returns its folder."""
    known: Manifest = manifest_of()
    request = known.request.model_copy(update={"run_id": run, "product": product})
    folder = run_folder(Storage(str(home)), product, run)
    save_manifest(folder, known.model_copy(update={"request": request, "failure": "NoCandidates: nothing"}))
    return home / "runs" / product / run


def test_the_newest_run_or_one_by_its_id(discovery: Discovery, product: str, tmp_path: Path) -> None:
    nothing = discovery("report")
    assert nothing.code == 2
    assert f"there is no run of {product} in " in nothing.log
    old, new, _ = (keep(tmp_path / "home", product, run) for run in (OLD, NEW, f"{NEW}-control"))
    assert discovery("report").out == f"{new}/{REPORT}\n"
    assert discovery("report", "last", "--json").data == {"run": NEW, "report": f"{new}/{REPORT}"}
    assert f"run {NEW}" in (new / REPORT).read_text()
    assert not (old / REPORT).exists()
    assert discovery("report", OLD).code == 0
    assert "Stopped in stage features: nothing" in (old / REPORT).read_text()
    gone = discovery("report", NOBODY)
    assert gone.code == 2
    assert f"run {NOBODY} is not in " in gone.log
    assert "run id 'x' is malformed" in discovery("report", "x").log


def test_a_file_and_a_browser(
    discovery: Discovery, product: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: opened.append(uri) or len(opened) < 3)
    folder, out = keep(tmp_path / "home", product, NEW), tmp_path / "copy of it.html"
    assert discovery("report", "--out", str(out), "--open").out == f"{out}\n"
    assert not (folder / REPORT).exists()
    assert discovery("report", "--open").log == ""
    assert (folder / REPORT).read_bytes() == out.read_bytes()
    assert opened == [out.as_uri(), (folder / REPORT).as_uri()]
    assert f"no browser could be started; open {folder}/{REPORT} yourself" in discovery("report", "--open").log
    refused = discovery("report", "--out", str(tmp_path))
    assert refused.code == 2
    assert "cannot be written (Is a directory); name another file" in refused.log
