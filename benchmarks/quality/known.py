"""Data sets with a known protocol: the length of lists, published figures, and settings that a search found.

TUNED was found by hand on tuning parts only; `--tune` searches again. For gowalla, whose test part is known to differ
from its train part, the tuning part was another fifth of each user's train rows: those least like the user's others.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.quality.deck_cards import deck_cards_split
from benchmarks.quality.split import Split, read_split


@dataclass(frozen=True)
class Protocol:
    """The protocol of one data set."""

    k: int
    published: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Model → (Recall@k, NDCG@k), with 64 dimensions where the model has any."""


KNOWN = {
    "gowalla": Protocol(
        20,
        {
            "ItemCF (BARS)": (0.1570, 0.1214),
            "MF-BPR (BARS)": (0.1627, 0.1378),
            "EASE (BARS)": (0.1765, 0.1467),
            "LightGCN (BARS)": (0.1820, 0.1547),
            "SimpleX (BARS)": (0.1872, 0.1557),
        },
    ),
    "ml_1m": Protocol(
        10,
        {"BPR-MF": (0.1291, 0.2677), "LightGCN": (0.1495, 0.2977), "XSimGCL++": (0.1671, 0.3242)},
    ),
    "lastfm": Protocol(
        10,
        {"BPR-MF": (0.1361, 0.1532), "LightGCN": (0.1741, 0.1996), "XSimGCL++": (0.1893, 0.2173)},
    ),
    "deck_cards": Protocol(20),
}

TUNED: dict[tuple[str, int], dict[str, Any]] = {
    ("gowalla", 64): {
        "factors": 64,
        "alpha": 1.5,
        "regularization": 0.1,
        "source_damping": 0.2,
        "user_damping": 0.3,
        "iterations": 2,
    },
    ("gowalla", 256): {
        "factors": 256,
        "alpha": 3.5,
        "regularization": 0.4,
        "source_damping": 0.2,
        "user_damping": 0.2,
        "iterations": 2,
    },
    ("ml_1m", 64): {"factors": 64, "alpha": 0.4, "regularization": 0.75, "user_damping": 0.6, "iterations": 12},
    ("ml_1m", 256): {"factors": 192, "alpha": 0.4, "regularization": 0.72, "user_damping": 0.6, "iterations": 12},
    ("lastfm", 64): {"factors": 64, "regularization": 0.4, "iterations": 10},
    ("lastfm", 256): {
        "factors": 128,
        "regularization": 0.6,
        "source_damping": 0.3,
        "user_damping": 0.3,
        "iterations": 8,
    },
    ("deck_cards", 64): {"factors": 64, "regularization": 0.4, "user_damping": 0.6, "iterations": 6},
    ("deck_cards", 256): {"factors": 192, "alpha": 0.6, "regularization": 0.35, "user_damping": 0.6, "iterations": 6},
}
"""(data set, largest number of dimensions) → changes of `train` in the reference YAML."""


def known_split(name: str, data: Path) -> Split:
    """Returns the split of one of KNOWN from its table in the folder `data`. Raises QualityError."""
    k = KNOWN[name].k
    return deck_cards_split(data, k) if name == "deck_cards" else read_split(data / f"{name}.parquet", name, k)


def tuned(name: str, dims: int) -> dict[str, Any]:
    """Returns the changes found for at most `dims` dimensions, the largest that were tried; {} if there are none."""
    found = {most: changes for (of, most), changes in TUNED.items() if of == name and most <= dims}
    return found[max(found)] if found else {}
