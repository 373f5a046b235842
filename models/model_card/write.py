"""A model card → its files: `model_card.md` with a PNG per plot beside it, and `model_card.html`, which needs none."""

import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from conf.contract import LIST_TRAITS, METRICS
from models.errors import PlotFailed
from models.judge import CHAMPION, ITEM_KNN, OURS, POPULARITY
from models.model_card import tables
from models.model_card.card import ModelCard
from models.model_card.plots import plots_of
from models.pages import Plot, html_of, markdown_of, part_of

_TEMPLATE = "model_card/model_card.j2"
_DPI = 144


def write_pages(card: ModelCard, folder: Path) -> list[str]:
    """Writes the pages into a folder, which is made; returns why plots are missing, which the pages say too."""
    folder.mkdir(parents=True, exist_ok=True)
    images, faults = dict[str, bytes](), dict[str, str]()
    for plot in plots_of(card):
        try:
            images[plot.name] = png_of(plot)
        except PlotFailed as fault:
            faults[plot.name] = str(fault)
    for name, image in images.items():
        Path(folder, f"{name}.png").write_bytes(image)
    for kind, text in pages_of(card, images, faults).items():
        Path(folder, f"model_card.{kind}").write_text(text, encoding="utf-8")
    return list(faults.values())


def pages_of(card: ModelCard, images: Mapping[str, bytes], faults: Mapping[str, str]) -> dict[str, str]:
    """Returns the page as Markdown and as HTML; of each plot there is an image or the fault, by its name."""
    values = {**_values(card), "images": images, "faults": faults}
    return {"md": markdown_of(_TEMPLATE, **values), "html": html_of(_TEMPLATE, **values)}


def part_of_report(card: ModelCard) -> dict[str, Any]:
    """Returns what the report of the card's run shows of it, as JSON values: its text and tables, and the weeks."""
    return {"html": part_of(_TEMPLATE, **_values(card)), "weeks": [asdict(week) for week in card.weeks]}


def _values(card: ModelCard) -> dict[str, Any]:
    """Returns what the template says, but for the drawings themselves."""
    return {
        "card": card,
        "tables": tables,
        "plots": {plot.name: plot for plot in plots_of(card)},
        "METRICS": tuple(METRICS),
        "TRAITS": LIST_TRAITS,
        "OURS": OURS,
        "CHAMPION": CHAMPION,
        "ARMS": (OURS, POPULARITY, ITEM_KNN, CHAMPION),
    }


def png_of(plot: Plot) -> bytes:
    """Returns the drawing as a PNG; raises PlotFailed for whatever the drawing library, its fonts or its folders raise:
    a page without a drawing is still the page.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, because only a model card draws
        from matplotlib.figure import Figure

        canvas = Figure(figsize=plot.size, layout="constrained")
        FigureCanvasAgg(canvas)
        plot.draw(canvas)
        content = io.BytesIO()
        canvas.savefig(content, format="png", dpi=_DPI, metadata={"Software": None})
        return content.getvalue()
    except Exception as error:
        raise PlotFailed(f"the plot {plot.name} could not be drawn ({type(error).__name__}: {error})") from error
