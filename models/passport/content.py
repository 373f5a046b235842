"""A passport → its page: what the version is and what made it here, the figures by the modules beside."""

from collections.abc import Iterator

from models.passport.beside import champion_section, golden_section, shape_section, weeks_section
from models.passport.page import Page, Plot, Section, Table, Text, count, share
from models.passport.passport import Passport
from models.passport.plots import draw_curve
from models.passport.quality import quality_sections


def page_of(passport: Passport) -> Page:
    """Returns everything that the page says, section by section."""
    return Page(f"Model of {passport.product}, run {passport.run_id}", list(_sections(passport)))


def _sections(passport: Passport) -> Iterator[Section]:
    yield _head(passport)
    yield from quality_sections(passport)
    yield champion_section(passport)
    yield weeks_section(passport)
    yield golden_section(passport)
    yield _curve(passport)
    yield shape_section(passport)
    yield _inputs(passport)
    yield _made(passport)


def _head(passport: Passport) -> Section:
    rows = [
        ("product", passport.product),
        ("run", passport.run_id),
        ("version", "numbered when it is registered; discovery model list names it beside this run"),
        ("as of", passport.as_of.isoformat()),
        ("decision", passport.decision),
        ("parent", passport.parent),
        ("judged on", passport.holdout),
        ("code", passport.code),
        ("settings", f"hash {passport.config_hash}"),
        ("started", f"{passport.created_at:%Y-%m-%d %H:%M:%S}Z by {passport.started_by}"),
    ]
    return Section("What it is", [Table(("", ""), rows, numbers=2)])


def _curve(passport: Passport) -> Section:
    points = passport.curve
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


def _inputs(passport: Passport) -> Section:
    rows = [
        (given.name, given.window, given.digest, given.uri, count(given.partitions), count(given.rows))
        for given in passport.inputs
    ]
    caption = "A digest is over the fingerprints of the partitions that were read."
    return Section(
        "Inputs", [Text(caption), Table(("dataset", "window", "digest", "in", "partitions", "rows"), rows, 4)]
    )


def _made(passport: Passport) -> Section:
    facts = [*passport.training.items(), *((name, str(seed)) for name, seed in passport.seeds.items())]
    libraries = ", ".join(f"{name} {number}" for name, number in passport.libraries.items())
    return Section("What made it", [Table(("", ""), [*facts, ("libraries", libraries)], numbers=2)])
