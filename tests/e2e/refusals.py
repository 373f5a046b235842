"""Products with something wrong, and how they must end."""

from pathlib import Path
from typing import Any

from jobs.prod_discovery import discover
from tests.e2e.conftest import LAST
from tests.e2e.product import Ended, Product

FIRST = ("--as-of", str(LAST), "--first")


def refused(product: Product, *flags: str, code: int = 2, said: tuple[str, ...], work: Any = discover) -> Ended:
    """Runs the product, which must end with `code`, say all of it, and change nothing that others can see."""
    before = product.published()
    ended = product.run(*(flags or FIRST), work=work)
    assert ended.code == code, ended.log
    told = ended.log[ended.log.index("error     ") :]
    assert [words for words in said if words not in told] == [], told
    assert "Traceback" not in ended.log
    assert product.published() == before
    return ended


def clicks_of(product: Product) -> Path:
    return Path(product.settings.data_root) / "clicks"
