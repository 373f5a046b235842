"""A look at one user for the page: whom it is noted of, and what the page shows of what is said."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Literal

from redis.exceptions import RedisError

from conf.errors import ConfigError
from conf.ids import UserId
from jobs.inspector.erasures import ForgottenNow
from jobs.inspector.explanation import Score, UserExplanation
from jobs.inspector.installation import Product
from jobs.inspector.looks import Looks
from jobs.inspector.user import Inspection, explain_user
from publish.author import person
from publish.clock import Clock
from publish.connect.redis_clients import StoreClient
from publish.errors import StoreUnreachable

PARTS = 3
"""Contributions to a score that are named on the page."""
Moved = int | Literal["new"] | None
"""Places up (down: less than 0) since the run before; None: nothing stands there now."""


def look_at_user(
    product: Product, user: UserId, address: str, run: str | None, source: UserId | None, clock: Clock
) -> tuple[UserExplanation, str | None]:
    """Returns what is said of a user, and why Redis was not asked, if so.

    Raises NotKnown, NoRun, ChangedSince, and OSError where the look cannot be noted.
    """
    client, fault = _client(product)
    looks = Looks(product.home, product.name, clock)
    inspection = Inspection(product.name, product.archive, ForgottenNow(product), looks, client, clock)
    said = explain_user(inspection, user, who=f"{person()} via {address}", run=run, source=source)
    return said, fault


def categories_of(product: Product, said: UserExplanation, most: int) -> dict[UserId, str]:
    """Returns the categories of sources that the page names, of pairs the first `most`; none of a run without factors.

    Raises ChangedSince.
    """
    run = product.archive.open(str(said.run))
    if not run.has("source_factors"):
        return {}
    named = {one.source for some in (said.listed, said.absent, said.pairs[:most]) for one in some}
    return run.sources.categories([*named])


def _client(product: Product) -> tuple[StoreClient | None, str | None]:
    try:
        client = product.client()
        client.ping()
    except (StoreUnreachable, ConfigError) as fault:
        return None, str(fault)
    except RedisError as fault:
        return None, f"it does not answer ({fault})"
    return client, None


def score_parts(score: Score) -> list[tuple[str, float]]:
    """Returns the parts of a score for a bar: class of the page's styles and length; what takes away has none."""
    named = [one.value for one in score.contributions[:PARTS]]
    rest = score.others + sum(one.value for one in score.contributions[PARTS:])
    remainder = score.remainder or 0.0
    parts = [*((f"p{place}", value) for place, value in enumerate(named, 1)), ("po", rest), ("pr", remainder)]
    return [(tone, max(0.0, value)) for tone, value in parts]


def beside_before(said: UserExplanation) -> Iterator[tuple[int, UserId | None, UserId | None, Moved]]:
    """Yields each place with the source of the run before, the one of this run, and how that one moved."""
    old = () if said.before is None or said.before.row is None else said.before.row.source_ids
    new = () if said.row is None else said.row.source_ids
    places = {source: place for place, source in enumerate(old, 1)}
    for place, (was, now) in enumerate(zip_longest(old, new), 1):
        moved: Moved = None
        if now is not None:
            moved = places[now] - place if now in places else "new"
        yield place, was, now, moved
