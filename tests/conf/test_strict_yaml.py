"""YAML means what is written, or is refused: one corpus for this environment and for Airflow's, and properties."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from conf.strict_yaml import Place, YamlError, read_yaml, write_yaml

CORPUS = json.loads((Path(__file__).parent / "yaml_corpus.json").read_text(encoding="utf-8"))
"""Texts, and what they hold or why they are refused; tests/dags reads it in Airflow's environment."""
TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S", "Zs"]), max_size=8)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)

ODD = st.sampled_from(
    ["1e3", "010", "1:30", "no", "<<", "~", "", "=", "0x1F", "1_0", ".nan", "2026-11-16", "# a", "a: b"]
)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["text"][:30])
def test_a_text_holds_what_it_says_or_is_refused_with_its_line(case: Mapping[str, Any]) -> None:
    if "tree" in case:
        assert typed(read_yaml(case["text"]).tree) == typed(case["tree"])
    else:
        with pytest.raises(YamlError, match=re.escape(case["says"])):
            read_yaml(case["text"])


def typed(tree: Any) -> str:
    """The tree as text in which 1, 1.0 and true differ."""
    return json.dumps(tree, sort_keys=True)


@given(st.dictionaries(TEXTS, TREES, max_size=4))
def test_json_is_read_as_json(tree: dict[str, Any]) -> None:
    assert typed(read_yaml(json.dumps(tree, ensure_ascii=False)).tree) == typed(tree)


@given(st.dictionaries(TEXTS | ODD, TREES | ODD, max_size=4))
def test_what_is_written_is_read_again(tree: dict[str, Any]) -> None:
    assert typed(read_yaml(write_yaml(tree)).tree) == typed(tree)


@given(st.text("0123456789._:-+exobXOE", min_size=1, max_size=8))
@example("1:30")
@example("0_1")
@example("1e3")
def test_a_number_is_the_same_for_every_reader_of_yaml(scalar: str) -> None:
    """Either refused, or that of the decimal digits; and never text that YAML 1.1 takes for a number."""
    try:
        old = yaml.safe_load(f"a: {scalar}")["a"]
        found = read_yaml(f"a: {scalar}").tree["a"]
    except (YamlError, yaml.YAMLError, ValueError, TypeError):
        return
    if isinstance(found, str):
        assert found == scalar
        assert not isinstance(old, int | float)
    else:
        assert isinstance(found, int | float)
        assert found == float(scalar)
        assert not isinstance(old, int | float) or old == found


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=2, max_size=6), st.integers(0, 3))
def test_no_key_is_lost(keys: list[str], depth: int) -> None:
    """At any depth, whether as a block or in braces."""
    indent = "  " * depth
    parents = "".join(f"{'  ' * level}p:\n" for level in range(depth))
    block = parents + "".join(f"{indent}{key}: {place}\n" for place, key in enumerate(keys))
    braces = "{p: " * depth + "{" + ", ".join(f"{key}: {place}" for place, key in enumerate(keys)) + "}" + "}" * depth
    for text in (block, braces):
        if len(set(keys)) == len(keys):
            tree = read_yaml(text).tree
            for _ in range(depth):
                tree = tree["p"]
            assert tree == {key: place for place, key in enumerate(keys)}
        else:
            with pytest.raises(YamlError, match="stands twice"):
                read_yaml(text)


def test_every_value_has_its_place() -> None:
    document = read_yaml("# a comment\na: 1\nb:\n  - 'x'\n  - yes\n")
    assert document.places == {
        (): Place(2, None),
        ("a",): Place(2, "1"),
        ("b",): Place(4, None),
        ("b", 0): Place(4, None),
        ("b", 1): Place(5, "yes"),
    }


def test_what_is_not_finite_is_read_and_left_to_the_settings() -> None:
    tree = read_yaml("a: .inf\nb: -.INF\nc: .nan\nd: 1e999\n").tree
    assert (tree["a"], tree["b"], tree["d"]) == (math.inf, -math.inf, math.inf)
    assert math.isnan(tree["c"])
