"""Pages made of Jinja templates: one template says what a page holds, `html.j2` and `markdown.j2` say how it looks.

A template takes `page`, `h2`, `p`, `table` and `plot` from `layout`, which is one of the two; values are escaped for
what is made.
"""

from models.pages.parts import MISSING, Plot, Table, count, interval, share
from models.pages.render import html_of, markdown_of, part_of, without_controls

__all__ = [
    "MISSING",
    "Plot",
    "Table",
    "count",
    "html_of",
    "interval",
    "markdown_of",
    "part_of",
    "share",
    "without_controls",
]
