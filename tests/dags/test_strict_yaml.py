"""The DAG files read YAML as the job does: by the same file, and with the same results in Airflow's environment."""

import json
from pathlib import Path

import pytest
from conftest import REPO
from product_files import ProductFileError, read_product
from strict_yaml import YamlError, read_yaml

CORPUS = json.loads((REPO / "tests" / "conf" / "yaml_corpus.json").read_text(encoding="utf-8"))


def test_both_read_by_one_file() -> None:
    assert (REPO / "dags" / "strict_yaml.py").resolve() == REPO / "conf" / "strict_yaml.py"


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["text"][:30])
def test_a_text_holds_here_what_it_holds_for_the_job(case: dict[str, object], tmp_path: Path) -> None:
    text = str(case["text"])
    if "tree" in case:
        assert json.dumps(read_yaml(text).tree, sort_keys=True) == json.dumps(case["tree"], sort_keys=True)
        return
    with pytest.raises(YamlError) as refused:
        read_yaml(text)
    assert str(case["says"]) in str(refused.value)
    product = tmp_path / "product.yml"
    product.write_text(text, encoding="utf-8")
    with pytest.raises(ProductFileError) as broken:
        read_product(product)
    assert str(broken.value) == str(refused.value)
