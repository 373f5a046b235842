"""The worked example of docs/extend.md, applied to a copy of the code: another trainer, from YAML to lists."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.examples import PAGE, REPO, apply, changes

SCRIPT = """
import sys
from pathlib import Path

import numpy as np

from conf.errors import ConfigError
from conf.load import config_hash, load_settings
from conf.recipe import Recipe
from conf.reference import reference
from conf.training import BprSettings
from models.golden import golden_metrics
from models.training.memory import DataSize
from models.training.train import train
from models.training.trainers import check_memory, choose_trainer, trainer_of
from models.tuning import Space
from tests.models.training import test_trainers
from tests.models.tuning.conftest import make_part

folder = Path(sys.argv[1])


def load(train):
    (folder / "mine.yml").write_text(
        "product: mine\\ndatasets: {events: {clicks: {path: clicks}}}\\n"
        f"interactions: {{event_weights: {{click: 1}}}}\\ntrain: {train}\\n"
    )
    return load_settings(folder / "mine.yml")


def fault(train):
    try:
        return load(train)
    except ConfigError as error:
        return str(error)


found = load("{algorithm: bpr, factors: 8, iterations: 100, learning_rate: 0.05, threads: 1}")
assert found.train == BprSettings(factors=8, iterations=100, learning_rate=0.05, threads=1)
assert Recipe.model_validate(Recipe.of(found).to_json()) == Recipe.of(found)
assert "| `learning_rate` |" in reference()
assert config_hash(load("{}")) == sys.argv[2]  # that of a product with another trainer stays
assert "unknown key 'train.alpha'; known here: algorithm, seed" in fault("{algorithm: bpr, alpha: 1}")
assert "did you mean 'learning_rate'?" in fault("{algorithm: bpr, learning_rte: 1}")
assert "unknown key 'train.learning_rate'" in fault("{learning_rate: 0.1}")
assert "'als', 'als_spark', 'auto', 'bpr' (got brp)" in fault("{algorithm: brp}")

for name, holds in vars(test_trainers).items():
    if name.startswith("test_"):
        holds(*(() if name.endswith("no_other") else ("bpr",)))

settings = found.train
assert choose_trainer(settings, 10, lambda: None).algorithm == "bpr"
assert check_memory(settings, DataSize(1000, 100, 10)) > 0
assert trainer_of(settings).dimensions(settings) == 9
assert Space.up_to(16, settings).first[0] == {
    "factors": 8, "learning_rate": 0.05, "regularization": 0.01, "iterations": 100
}

part, heard = make_part(folder, "int64"), []
made, again = (
    train(part.interactions, settings, "int64", watch=lambda data: lambda iteration, *_: heard.append(iteration))
    for _ in range(2)
)
assert heard == [*range(1, 101)] * 2
assert np.array_equal(made.user_factors, again.user_factors)
assert made.stats.to_json()["constants"] is None
lists, popular = part.judge(made.user_factors, made.source_factors), part.judge_popular()
assert lists.ndcg.mean() > popular.ndcg.mean() + 0.2
golden = golden_metrics(settings)
assert golden.ndcg > golden.popularity_ndcg
print(f"NDCG {lists.ndcg.mean():.3f}, popularity {popular.ndcg.mean():.3f}; golden data {golden.ndcg:.3f}")
"""


NEW = {"models/training/bpr.py", "jobs/cli/listed.py"}
"""Files that the page tells to write."""


def test_every_file_that_is_named_is_there() -> None:
    files = {name for _, text in passages() for name in files_in(text)}
    assert len(files) > 50
    assert {name for name in files if not (REPO / name).exists()} == NEW


def test_every_name_is_in_a_file_that_is_named_beside_it() -> None:
    found = 0
    for title, text in passages():
        names = {name.split(".")[-1] for name in re.findall(r"`(@?_?[A-Za-z][\w.]*)(?:\([^`]*\))?`", text)}
        words = {*re.findall(r"\w+", "".join(CODE.findall(text)))}
        for file in files_in(text) - NEW:
            words |= {*re.findall(r"\w+", (REPO / file).read_text(encoding="utf-8")), Path(file).suffix[1:]}
        assert names <= words, (title, names - words)
        found += len(names)
    assert found > 100


CODE = re.compile(r"^```(?:diff|python)\n.*?^```$", re.M | re.S)


def passages() -> list[tuple[str, str]]:
    """Every row of the table of the page, and every section."""
    head, *sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    rows = [(line.split(" | ")[0], line) for line in head.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 20
    return [*rows, *((section.partition("\n")[0], section) for section in sections)]


def files_in(text: str) -> set[str]:
    """The files that a passage names, and those of `a/b.name`."""
    files = {*re.findall(r"`(\w+/[\w/]+\.(?:py|lua|acl|j2|md|json|in|txt))`", text)}
    return files | {f"{module}.py" for module in re.findall(r"`(\w+/[\w/]+)\.(?!json)[A-Za-z_]\w{3,}`", text)}


def test_the_example_of_the_documentation_trains_and_makes_lists(tmp_path: Path) -> None:
    code = tmp_path / "code"
    shutil.copytree(REPO / "conf", code / "conf", ignore=shutil.ignore_patterns("__pycache__"))
    (code / "models").mkdir()
    for path in (REPO / "models").iterdir():  # links, so that numba finds what it has compiled
        (code / "models" / path.name).symlink_to(path)
    (code / "models" / "training").unlink()
    shutil.copytree(REPO / "models" / "training", code / "models" / "training")
    changed = [apply(code, *change) for change in changes("A trainer in full")]
    assert set(changed) == {"conf/training.py", "models/training/bpr.py", "models/training/trainers.py"}
    assert len(changed) == 5
    (code / "check.py").write_text(SCRIPT)
    command = [sys.executable, str(code / "check.py"), str(tmp_path), hash_of_a_product()]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(REPO)})
    assert done.returncode == 0, done.stderr


def hash_of_a_product() -> str:
    from conf.load import config_hash
    from conf.settings import Settings

    events = {"clicks": {"path": "clicks"}}
    tree = {"product": "mine", "datasets": {"events": events}, "interactions": {"event_weights": {"click": 1.0}}}
    return config_hash(Settings.model_validate(tree))
