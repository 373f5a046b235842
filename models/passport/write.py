"""A passport → its files: `passport.md` with a PNG per plot beside it, and `passport.html`, which needs no other."""

import io
from pathlib import Path

from models.errors import PlotFailed
from models.passport.content import page_of
from models.passport.markdown import markdown_of
from models.passport.page import Plot
from models.passport.passport import Passport
from models.passport.web import html_of

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


def write_pages(passport: Passport, folder: Path) -> list[str]:
    """Writes the pages into a folder, which is made; returns why plots are missing, which the pages say too."""
    folder.mkdir(parents=True, exist_ok=True)
    page, images, faults = page_of(passport), dict[str, bytes](), dict[str, str]()
    for plot in page.plots:
        try:
            images[plot.name] = png_of(plot)
        except PlotFailed as fault:
            faults[plot.name] = str(fault)
    for name, image in images.items():
        Path(folder, f"{name}.png").write_bytes(image)
    Path(folder, "passport.md").write_text(markdown_of(page, faults), encoding="utf-8")
    Path(folder, "passport.html").write_text(html_of(page, images, faults), encoding="utf-8")
    return list(faults.values())


def png_of(plot: Plot) -> bytes:
    """Returns the drawing as a PNG; raises PlotFailed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, because only a passport draws
        from matplotlib.figure import Figure

        canvas = Figure(figsize=plot.size, layout="constrained")
        FigureCanvasAgg(canvas)
        plot.draw(canvas)
        content = io.BytesIO()
        canvas.savefig(content, format="png", dpi=_DPI, metadata={"Software": None})
        return content.getvalue()
    except _DRAWING as error:
        raise PlotFailed(f"the plot {plot.name} could not be drawn ({type(error).__name__}: {error})") from error
