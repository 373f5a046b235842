"""The model card of a model version: one page that says what it is, how good it is and what made it.

The way, one module each:

1. `card`      what the page is made of; `shape` the quantiles of scores and norms in it
2. `model_card.j2`   all that the page says; `tables` and `plots` make what is more than text
3. `write`     the files
"""

from models.model_card.card import (
    SCORES,
    SOURCE_NORMS,
    USER_NORMS,
    ChampionPage,
    ModelCard,
    Week,
)
from models.model_card.shape import Shape, norm_shape, score_shape
from models.model_card.write import part_of_report, write_pages

__all__ = [
    "SCORES",
    "SOURCE_NORMS",
    "USER_NORMS",
    "ChampionPage",
    "ModelCard",
    "Shape",
    "Week",
    "norm_shape",
    "part_of_report",
    "score_shape",
    "write_pages",
]
