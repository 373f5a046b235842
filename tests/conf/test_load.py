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
        ("train: {algorithm: alss}", "train.algorithm: Input should be 'als', 'als_spark', 'auto' (got alss)"),
        ("train: {max_memory: 4 gigs}", "4 GiB"),  # a size that is none, with an example
        ("rollout: {share: 0.33333}", "basis point"),  # finer than a share can be
        ("rollout: {share: 1.5}", "rollout.share"),
        ("product: Bad-Name", "lower-case"),
        ("datasets: {events: {plays: {window: 'ten days ago:today'}}}", "is not a day"),
        ("lists: {n: 500, fallback_size: 10}", "fallback_size"),
        ("datasets: {events: {sources: {path: x}}}", "name of a snapshot dataset"),
        ("train:\n  factors: 8\ntrain:\n  alpha: 1", "line 3: the key 'train' stands twice, first in line 1"),
        ("\ninteractions: {event_weights: {play: yes}}", "line 2: interactions.event_weights.play: "),
        ("interactions: {event_weights: {play: yes}}", "a valid number (got yes, a truth value to YAML)"),
        ("interactions: {event_weights: {no: 1}}", "the key no is a truth value to YAML; quote it"),
        ("interactions: {event_weights: {play: 1e7}}", "less than or equal to 1000000 (got 1e7)"),
        ("interactions: {event_weights: {play: -1e-9}}", "too small for fixed point"),
        ("datasets: {events: {plays: {ignore_events: [off]}}}", "(got off, a truth value to YAML; quote it"),
        ("datasets: {events: {plays: {window: 99999 days ago:today}}}", "more than 36,500 days"),
        ("train: {factors: 010}", "line 1: 010 is no decimal number"),
        ("judge: {k: 1:30}", "line 1: 1:30 is no decimal number"),
        ("train: {factors: '64'}", "a valid integer (got '64'; a number stands without quotes)"),
        ("train: {seed: -1}", "train.seed: Input should be greater than or equal to 0 (got -1)"),
        ("train: {max_memory: yes}", "is not a size"),
        ("rollout: {salt: 5}", "a valid string (got 5; quote it if it is text)"),
        ("lists: {min_score: .nan}", "lists.min_score: Input should be a finite number (got .nan)"),
        ("gates: {interactions: {max_weight: 1e300}}", "less than or equal to 1000000000 (got 1e300)"),
        ("publish: {load_deadline_seconds: 100000000000000}", "publish.load_deadline_seconds: "),
        ("publish: {partitions: 2147483648}", "publish.partitions: "),
        ("datasets: {events: {../x: {path: x}}}", "no folder for its daily partials can have this name"),
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


def test_a_fault_is_told_where_it_stands(tmp_path: Path) -> None:
    base = write(tmp_path, MINIMAL.replace("play: 1.0", "play: maybe"))
    overlay = write(tmp_path, "\n\ntrain:\n  factors: 0\n", "overlay.yml")
    with pytest.raises(ConfigError) as error:
        load_settings(base, [overlay])
    first, second = str(error.value).split("; ")
    assert first.startswith(f"{base}: line 4: interactions.event_weights.play: ")
    assert second.startswith(f"{overlay}: line 4: train.factors: ")
    with pytest.raises(ConfigError) as lacking:
        load_settings(base, [write(tmp_path, "datasets:\n  events:\n    more: {}\n", "more.yml")])
    assert "more.yml: line 3: datasets.events.more.path: Field required;" in str(lacking.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml"):
        load_settings(tmp_path / "nowhere.yml")


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(write(tmp_path, MINIMAL)).train.factors = 3  # type: ignore[misc]
