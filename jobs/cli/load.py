"""`discovery load`: the loader, as a service."""

import gc
import threading
from typing import Annotated

import typer

from jobs.cli.context import ProductContext, open_context
from jobs.cli.options import DEFAULT_CONFIG, Config, Overlay
from publish.connect.clients import check_broker
from publish.connect.rights import Role, check_rights
from publish.connect.topics import ensure_topics
from publish.load.loader import Loader, stop_on_signals
from publish.load.loader_metrics import LoaderMetrics, serve_metrics
from publish.wire.keys import ProductKeys


def load(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve health and counters for Prometheus here.")] = None,
) -> None:
    """Load the product's topic into Redis until stopped; several may run side by side."""
    context = open_context(config, tuple(overlay or ()))
    _load_until(stop_on_signals(), context, metrics_port)


def _load_until(stop: threading.Event, context: ProductContext, metrics_port: int | None) -> None:
    """Runs the loader until `stop`; raises what keeps it from starting."""
    kafka = context.environment.need_kafka()
    check_rights(context.client, Role.LOADER, ProductKeys(context.product))
    check_broker(kafka)
    ensure_topics(kafka, ProductKeys(context.product), context.settings.publish, context.settings.exposures)
    metrics = LoaderMetrics(context.product)
    if metrics_port is not None:
        serve_metrics(metrics, metrics_port)
    loader = Loader(kafka, context.client, context.product, declared=context.declared, metrics=metrics)
    # Thousands of messages live at a time, none in a cycle: looking for cycles in them cost a fifth of the load.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    loader.run(stop)
