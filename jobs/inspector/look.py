"""A look at one user for the page: whom it is noted of, and what the page shows of what is said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal

from redis.exceptions import RedisError

from conf.errors import ConfigError
from conf.ids import UserId
from jobs.inspector.archive import Archive
from jobs.inspector.erasures import ForgottenNow
from jobs.inspector.explanation import Score, UserExplanation
from jobs.inspector.installation import Product
from jobs.inspector.looks import Looks
from jobs.inspector.user import Inspection, explain_user
from publish.author import person
from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.errors import StoreUnreachable

PARTS = 3
"""Contributions to a score that are named on the page."""
Moved = int | Literal["new"] | None
"""Places up (down: less than 0) since the run before; None: nothing stands there now."""


@dataclass(eq=False)
class UserLooks:
    """Looks at users of all products; each product's archive is opened once."""

    clock: Clock = utc_now
    _archives: dict[str, Archive] = field(default_factory=dict)

    def look(
        self, product: Product, user: UserId, address: str, run: str | None, source: UserId | None
    ) -> tuple[UserExplanation, str | None]:
        """Returns what is said of a user, and why Redis was not asked, if so.

        Raises NotKnown, NoRun, ChangedSince, and OSError where the look cannot be noted.
        """
        client, fault = _client(product)
        archive = self._archives.get(product.name)
        if archive is None:
            archive = self._archives[product.name] = Archive(product.home, product.name, copies=True)
        looks = Looks(product.home, product.name, self.clock)
        inspection = Inspection(product.name, archive, ForgottenNow(product), looks, client, self.clock)
        said = explain_user(inspection, user, who=f"{person()} via {address}", run=run, source=source)
        return said, fault


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
