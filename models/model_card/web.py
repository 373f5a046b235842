"""A page as HTML in one file: styles and plots are in it, and nothing is fetched from anywhere."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from models.model_card.page import Page, Plot, Section, Table, Text

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22262c; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #dfe2e7; padding-bottom: .25rem; }
p { max-width: 48rem; overflow-wrap: anywhere; }
img { display: block; max-width: 100%; height: auto; margin: 1rem 0; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .28rem .8rem .28rem 0; border-bottom: 1px solid #eceef1; }
th { font-weight: 600; border-bottom-color: #c4c8ce; }
.number { text-align: right; white-space: nowrap; }
.fault { color: #a33; }
"""

_NUMBER = ' class="number"'
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def html_of(page: Page, images: Mapping[str, bytes], faults: Mapping[str, str]) -> str:
    """Returns the page, well-formed also as XML; images: the PNG of each plot, by its name; of the others the fault."""
    title = _text(page.title)
    body = "\n".join(line for section in page.sections for line in _section(section, images, faults))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"/>'
        f'<meta name="viewport" content="width=device-width"/><title>{title}</title><style>{_STYLE}</style></head>\n'
        f"<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _section(section: Section, images: Mapping[str, bytes], faults: Mapping[str, str]) -> Iterator[str]:
    yield f"<h2>{_text(section.title)}</h2>"
    for block in section.blocks:
        match block:
            case Text():
                yield f"<p>{_text(block.text)}</p>"
            case Table():
                yield from _table(block)
            case Plot():
                yield _plot(block, images, faults)


def _plot(plot: Plot, images: Mapping[str, bytes], faults: Mapping[str, str]) -> str:
    if plot.name in faults:
        return f'<p class="fault">{_text(faults[plot.name])}.</p>'
    image = base64.b64encode(images[plot.name]).decode()
    width = round(96 * plot.size[0])
    return f'<img alt="{_text(plot.shows)}" width="{width}" src="data:image/png;base64,{image}"/>'


def _table(table: Table) -> Iterator[str]:
    yield '<div class="table"><table>'
    if any(table.header):
        yield f"<thead>{_row(table, table.header, 'th')}</thead>"
    yield "<tbody>"
    yield from (_row(table, row, "td") for row in table.rows)
    yield "</tbody></table></div>"


def _row(table: Table, cells: Sequence[str], tag: str) -> str:
    drawn = (f"<{tag}{_NUMBER if at >= table.numbers else ''}>{_text(cell)}</{tag}>" for at, cell in enumerate(cells))
    return f"<tr>{''.join(drawn)}</tr>"


def _text(text: str) -> str:
    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))
