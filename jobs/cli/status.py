"""`discovery status`: what serves and what is on its way."""

from jobs.cli.context import ProductContext
from jobs.cli.options import Cli, product_command
from jobs.cli.views.status import status as view
from jobs.exposures.position import Position, position
from jobs.runtime.log import log
from publish.connect.clients import check_broker
from publish.connect.topics import warn_of_retention
from publish.errors import BrokerUnreachable
from publish.operate.control import StatusReport
from publish.operate.dead_letter_reader import count_letters
from publish.wire.keys import ProductKeys

_BROKER_SECONDS = 5.0
"""How long a broker that is away is waited for; each question below would wait longer."""


@product_command
def status(cli: Cli) -> None:
    """What serves to whom since when, what is on its way, holds, memory, dead letters."""
    context = cli.open()
    report = context.control.status()
    cli.show(view(report, *_inspect_topics(context, report)))


def _inspect_topics(context: ProductContext, report: StatusReport) -> tuple[int, Position | None]:
    """Warns of topics with another retention than the settings say; returns dead letters and where landing stands.

    Where Kafka is not known or away, the letters are all that loaders ever wrote, and the position is not known.
    """
    kafka, keys = context.environment.kafka, ProductKeys(context.product)
    if kafka is not None:
        try:
            check_broker(kafka, timeout=_BROKER_SECONDS)
            letters = count_letters(kafka, keys.dead_letter_topic)
            warn_of_retention(kafka, keys, context.settings.publish, context.settings.exposures)
            return letters, position(context.environment.home, context.product, kafka)
        except BrokerUnreachable as fault:
            log.warning("warning   %s", fault)
    return report.dead_letters, None
