"""One product from the operator's side: its settings, and the connections that the commands share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from conf.environment import Environment
from conf.errors import ConfigError
from conf.ids import ID_RULE, UserId, is_id, parse_int64
from conf.load import load_settings
from conf.settings import Settings
from publish.connect.redis_clients import StoreClient, redis_client
from publish.store.capacity import DeclaredLimits

if TYPE_CHECKING:
    from publish.operate.control import Control


@dataclass(frozen=True, repr=False)
class ProductContext:
    """Checked connections of one product, for a person."""

    settings: Settings
    environment: Environment
    client: StoreClient

    @property
    def product(self) -> str:
        """The product's name."""
        return self.settings.product

    @property
    def declared(self) -> DeclaredLimits:
        """The limits of a Redis that does not publish them, as the settings have them."""
        return DeclaredLimits.of(self.settings.publish)

    @cached_property
    def control(self) -> "Control":
        """The operator's questions and orders; keeps pointers in Kafka too where its address is known."""
        # here, because a look-up needs neither of them, nor Kafka's client
        from publish.connect.confirmed_sender import KafkaPointerLog
        from publish.operate.control import Control

        kafka = self.environment.kafka
        pointer_log = None if kafka is None else KafkaPointerLog(kafka)
        return Control.connect(self.client, self.product, log=pointer_log, declared=self.declared)

    def user_id(self, text: str) -> UserId:
        """Returns the user that a person typed; raises ConfigError when no user of this product can be called so."""
        return typed_id(self.settings, text, "user")


def typed_id(settings: Settings, text: str, what: str) -> UserId:
    """Returns the user or source (`what`) that a person typed; raises ConfigError when none can be called so."""
    if settings.ids == "string":
        if is_id(text):
            return text
        raise ConfigError(f"{what} {text!r:.300}: {settings.product} has string {what} ids, of {ID_RULE}")
    number = parse_int64(text)
    if number is None:
        raise ConfigError(
            f"{what} {text!r:.300}: {settings.product} has int64 {what} ids; give a whole number from −2⁶³ to 2⁶³ − 1, "
            "in digits without spaces, +, _ or leading zeros"
        )
    return number


def open_context(config: Path, overlays: Sequence[Path]) -> ProductContext:
    """Returns the context of the product in `config`; raises ConfigError and StoreUnreachable."""
    settings = load_settings(config, overlays)
    environment = Environment.read()
    return ProductContext(settings, environment, redis_client(environment.need_redis()))
