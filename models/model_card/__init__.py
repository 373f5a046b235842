"""The model card of a model version: one page that says what it is, how good it is and what made it.

The way, one module each:

1. `card`      what the page is made of; `shape` the quantiles of scores and norms in it
2. `content`   all that the page says, section by section: `quality` of a judgement, `beside` the champion and the weeks
3. `plots`     the drawings
4. `markdown`, `web`   the same sections as Markdown and as HTML
5. `write`     the files
"""

from models.model_card.card import (
    SCORES,
    SOURCE_NORMS,
    USER_NORMS,
    ChampionPage,
    InputLine,
    ModelCard,
    Week,
)
from models.model_card.shape import Shape, norm_shape, score_shape
from models.model_card.write import write_pages

__all__ = [
    "SCORES",
    "SOURCE_NORMS",
    "USER_NORMS",
    "ChampionPage",
    "InputLine",
    "ModelCard",
    "Shape",
    "Week",
    "norm_shape",
    "score_shape",
    "write_pages",
]
