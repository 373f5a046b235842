"""`discovery`, whose look-up service and loader count nothing: what metrics cost is measured beside it.

python -m benchmarks.without_metrics serve …     # as `discovery serve …`; nothing outside of benchmarks can do this
"""

from jobs.cli import main


def _count_nothing(*_: object, **__: object) -> None:
    return


def _silence() -> None:
    """Takes away what counts, and leaves what is only looked at when somebody scrapes."""
    from prometheus_client import Counter, Gauge

    from publish.serve.metrics import ServeMetrics

    Counter.inc = Gauge.set = _count_nothing  # type: ignore[method-assign]
    for name in ("observe", "count_answer", "count_problem", "set_state"):
        setattr(ServeMetrics, name, _count_nothing)


if __name__ == "__main__":
    _silence()
    main()
