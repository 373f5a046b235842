"""A model card → its files: `model_card.md` with a PNG per plot beside it, and `model_card.html`, which needs none."""

import io
from pathlib import Path

from models.errors import PlotFailed
from models.model_card.card import ModelCard
from models.model_card.content import page_of
from models.model_card.markdown import markdown_of
from models.model_card.page import Plot
from models.model_card.web import html_of

_DPI = 144

_DRAWING = (
    ImportError,
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
)
"""What a drawing library, its fonts and its folders may raise: a page without a drawing is still the page."""


def write_pages(card: ModelCard, folder: Path) -> list[str]:
    """Writes the pages into a folder, which is made; returns why plots are missing, which the pages say too."""
    folder.mkdir(parents=True, exist_ok=True)
    page, images, faults = page_of(card), dict[str, bytes](), dict[str, str]()
    for plot in page.plots:
        try:
            images[plot.name] = png_of(plot)
        except PlotFailed as fault:
            faults[plot.name] = str(fault)
    for name, image in images.items():
        Path(folder, f"{name}.png").write_bytes(image)
    Path(folder, "model_card.md").write_text(markdown_of(page, faults), encoding="utf-8")
    Path(folder, "model_card.html").write_text(html_of(page, images, faults), encoding="utf-8")
    return list(faults.values())


def png_of(plot: Plot) -> bytes:
    """Returns the drawing as a PNG; raises PlotFailed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, because only a model card draws
        from matplotlib.figure import Figure

        canvas = Figure(figsize=plot.size, layout="constrained")
        FigureCanvasAgg(canvas)
        plot.draw(canvas)
        content = io.BytesIO()
        canvas.savefig(content, format="png", dpi=_DPI, metadata={"Software": None})
        return content.getvalue()
    except _DRAWING as error:
        raise PlotFailed(f"the plot {plot.name} could not be drawn ({type(error).__name__}: {error})") from error
