"""A model card → its page: what the version is and what made it here, the figures by the modules beside."""

from collections.abc import Iterator

from models.model_card.beside import champion_section, golden_section, shape_section, weeks_section
from models.model_card.card import ModelCard
from models.model_card.page import Page, Plot, Section, Table, Text, count, share
from models.model_card.plots import draw_curve
from models.model_card.quality import quality_sections


def page_of(card: ModelCard) -> Page:
    """Returns everything that the page says, section by section."""
    return Page(f"Model of {card.product}, run {card.run_id}", list(_sections(card)))


def _sections(card: ModelCard) -> Iterator[Section]:
    yield _head(card)
    yield from quality_sections(card)
    yield champion_section(card)
    yield weeks_section(card)
    yield golden_section(card)
    yield _curve(card)
    yield shape_section(card)
    yield _inputs(card)
    yield _made(card)


def _head(card: ModelCard) -> Section:
    rows = [
        ("product", card.product),
        ("run", card.run_id),
        ("version", "numbered when it is registered; discovery model list names it beside this run"),
        ("as of", card.as_of.isoformat()),
        ("decision", card.decision),
        ("parent", card.parent),
        ("judged on", card.holdout),
        ("code", card.code),
        ("settings", f"hash {card.config_hash}"),
        ("started", f"{card.created_at:%Y-%m-%d %H:%M:%S}Z by {card.started_by}"),
    ]
    return Section("What it is", [Table(("", ""), rows, numbers=2)])


def _curve(card: ModelCard) -> Section:
    points = card.curve
    if isinstance(points, str):
        return Section("Learning curve", [Text(f"There is none: {points}.")])
    caption = (
        "NDCG of the plain best sources of a sample of the hold-out users, by the factors as they were after each "
        "iteration of the judged training: how training goes, not how good the lists are."
    )
    rows = [(str(point.iteration), f"{point.seconds:.2f}", share(point.ndcg)) for point in points]
    shows = f"NDCG after each of {len(points)} iterations"
    plot = Plot("learning_curve", shows, lambda canvas: draw_curve(canvas, points), (7, 3.2))
    return Section("Learning curve", [Text(caption), plot, Table(("iteration", "seconds", "NDCG"), rows, numbers=0)])


def _inputs(card: ModelCard) -> Section:
    rows = [
        (given.name, given.window, given.digest, given.uri, count(given.partitions), count(given.rows))
        for given in card.inputs
    ]
    caption = "A digest is over the fingerprints of the partitions that were read."
    return Section(
        "Inputs", [Text(caption), Table(("dataset", "window", "digest", "in", "partitions", "rows"), rows, 4)]
    )


def _made(card: ModelCard) -> Section:
    facts = [*card.training.items(), *((name, str(seed)) for name, seed in card.seeds.items())]
    libraries = ", ".join(f"{name} {number}" for name, number in card.libraries.items())
    return Section("What made it", [Table(("", ""), [*facts, ("libraries", libraries)], numbers=2)])
