"""Numbers as people read them, in the units that the panels name."""

from typing import Final

_LARGE: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES: Final = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_TIMES: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SUFFIX: Final = "suffix:"


def number_text(value: float, unit: str, decimals: int | None = None) -> str:
    """Returns a value in a unit of Grafana's; "–" for what is no number."""
    if value != value or value in (float("inf"), float("-inf")):
        return "–"
    if unit == "percentunit":
        return f"{_digits(100 * value, decimals)} %"
    if unit == "bytes":
        return _scaled(value, _BYTES, "B", decimals)
    if unit == "s":
        return _scaled(value, _TIMES, "s", decimals) if value else "0 s"
    if unit.startswith(_SUFFIX):
        return f"{_digits(value, decimals)}{unit.removeprefix(_SUFFIX)}"
    after = {"reqps": " req/s", "cps": " /s"}.get(unit, "")
    size, letter = next(((size, letter) for size, letter in _LARGE if abs(value) >= size), (1, ""))
    return f"{_digits(value / size, None if letter else decimals)}{letter}{after}"


def _scaled(value: float, units: tuple[tuple[float, str], ...], smallest: str, decimals: int | None) -> str:
    size, name = next(((size, name) for size, name in units if abs(value) >= size), (1, smallest))
    return f"{_digits(value / size, decimals)} {name}"


def _digits(value: float, decimals: int | None) -> str:
    """Returns a number with so many decimals; None: three digits, which is what an axis has room for."""
    return f"{value:.{decimals}f}" if decimals is not None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
