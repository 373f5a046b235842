"""Who is forgotten: nothing of them is shown, also of runs from before."""

from collections.abc import Collection

from conf.errors import ConfigError, DiscoveryError
from conf.ids import UserId
from jobs.inspector.forgotten import Forgotten
from jobs.inspector.installation import Product
from jobs.storage.erased import Erased
from publish.connect.clients import check_broker
from publish.errors import BrokerUnreachable, MalformedMessage, PublishError
from publish.runs.registry import RunRegistry
from publish.store.redis_store import RedisStore
from publish.wire.keys import Layout, hash_tags

_AWAY_SECONDS = 3.0
"""How long Kafka may take to answer."""


class NotKnown(DiscoveryError):
    """Nobody can say who is forgotten, so no user is shown."""


def forgotten_among(product: Product, users: Collection[UserId]) -> frozenset[UserId]:
    """Returns those of the users who are forgotten: by the sets in Redis, or by Kafka's topic where Redis cannot say.

    Raises NotKnown where neither answers.
    """
    if not users:
        return frozenset()
    why = "Redis knows no run"
    try:
        found = _by_redis(product, users)
    except (PublishError, ConfigError) as fault:
        found, why = None, str(fault)
    return _by_kafka(product, why).intersection(users) if found is None else found


class ForgottenNow(Forgotten):
    """Who is forgotten, asked at each look of whoever of Redis and Kafka answers."""

    def __init__(self, product: Product) -> None:
        super().__init__(frozenset)
        self._product = product

    def has(self, user: UserId) -> bool:
        """Returns whether a user must be forgotten. Raises NotKnown: nobody guesses."""
        return user in forgotten_among(self._product, (user,))


def _by_redis(product: Product, users: Collection[UserId]) -> frozenset[UserId] | None:
    """Returns who of them is marked in Redis; None: it has no run, as one that lost everything."""
    client = product.client()
    runs = RunRegistry(client, product.name).list_runs()
    if not runs:
        return None
    tags = {run.announcement.tags for run in runs}
    tags.add(hash_tags(product.name, product.settings.publish.partitions))
    keys, store = {str(user).encode(): user for user in users}, RedisStore(client)
    marked = (store.erased_among(Layout(product.name, len(some), 1, some), [*keys]) for some in tags)
    return frozenset(keys[key] for some in marked for key in some)


def _by_kafka(product: Product, why: str) -> frozenset[UserId]:
    try:
        kafka = product.environment.need_kafka()
        check_broker(kafka, timeout=_AWAY_SECONDS)
        return Erased.read(kafka, product.name, product.ids).users
    except (BrokerUnreachable, ConfigError, MalformedMessage) as fault:
        raise NotKnown(
            f"whether a user is forgotten cannot be known now, so none is shown ({why}; {fault}); what runs say of "
            "sources and as a whole is shown all the same"
        ) from None
