"""Settings are read whole or refused with the place and the nearest known name."""

from pathlib import Path

import pytest

from conf.errors import ConfigError
from conf.load import config_hash, load_settings

REPO = Path(__file__).parents[2]
MINIMAL = """
product: music
datasets: {events: {plays: {path: plays}}}
interactions: {event_weights: {play: 1.0}}
"""


def write(folder: Path, text: str, name: str = "product.yml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_one_event_dataset_and_nothing_else_is_enough(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL))
    assert settings.product == "music"
    assert settings.datasets.subscriptions is None


@pytest.mark.parametrize("path", sorted((REPO / "conf").glob("*.yml")), ids=lambda path: path.stem)
def test_every_product_of_the_repository_is_valid(path: Path) -> None:
    assert load_settings(path).product == path.stem


def test_overlays_win_and_change_the_hash(tmp_path: Path) -> None:
    base = write(tmp_path, MINIMAL)
    overlay = write(tmp_path, "train: {factors: 8}", "overlay.yml")
    below, above = load_settings(base), load_settings(base, [overlay])
    assert above.train.factors == 8
    assert above.train.seed == below.train.seed
    assert config_hash(above) != config_hash(below)
    assert config_hash(below) == config_hash(load_settings(base))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train: {factor: 3}", "unknown key 'train.factor'; did you mean 'factors'?"),  # a slip of the pen
        ("datasets: {events: {plays: {windo: x}}}", "did you mean 'window'?"),  # below a name of the user's
        ("zzz: 1", "known here: product"),  # nothing is near: what is known
        ("train: {factors: many}", "train.factors"),  # a wrong type, with its place
        ("train: {max_memory: 4 gigs}", "4 GiB"),  # a size that is none, with an example
        ("rollout: {share: 0.33333}", "basis point"),  # finer than a share can be
        ("rollout: {share: 1.5}", "rollout.share"),
        ("product: Bad-Name", "lower-case"),
        ("datasets: {events: {plays: {window: 'ten days ago:today'}}}", "is not a day"),
        ("lists: {n: 500, fallback_size: 10}", "fallback_size"),
        ("datasets: {events: {sources: {path: x}}}", "name of a snapshot dataset"),
        ("- 1", "must hold keys and values"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: str, said: str) -> None:
    base = write(tmp_path, MINIMAL)
    with pytest.raises(ConfigError) as error:
        load_settings(base, [write(tmp_path, change, "change.yml")])
    assert said in str(error.value)
    assert "change.yml" in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml"):
        load_settings(tmp_path / "nowhere.yml")


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(write(tmp_path, MINIMAL)).train.factors = 3  # type: ignore[misc]
