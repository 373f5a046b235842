"""Queries of the dashboards: of one product, without the labels that scraping adds."""


def of(name: str, *by: str, how: str = "max", **labels: str) -> str:
    """Returns the query of a metric of the product; `max`, so that two exporters are drawn as one."""
    return f"{how}{_kept(by)} ({_selector(name, labels)})"


def rate(name: str, *by: str, **labels: str) -> str:
    """Returns the query of what a counter gains in a second, over all processes."""
    return f"sum{_kept(by)} (rate({_selector(name, labels)}[$__rate_interval]))"


def grown(name: str, *by: str, **labels: str) -> str:
    """Returns the query of by how much a counter has grown within an hour, over all processes."""
    return f"sum{_kept(by)} (increase({_selector(name, labels)}[1h]))"


def or_zero(expr: str) -> str:
    """Returns a query that is 0 where there is no series: what has never happened has none."""
    return f"({expr}) or on () vector(0)"


def days_since(name: str, *by: str) -> str:
    """Returns the query of the days since a timestamp."""
    return f"(time() - {of(name, *by)}) / 86400"


def quantile(part: float) -> str:
    """Returns the query of the time within which this part of the look-ups of one user was answered."""
    return f"histogram_quantile({part}, {rate('discovery_lookup_seconds_bucket', 'le', route='list')})"


def _kept(by: tuple[str, ...]) -> str:
    return f" by ({', '.join(by)})" if by else ""


def _selector(name: str, labels: dict[str, str]) -> str:
    """Returns a selector; a label's value that begins with ! is what it must not match."""
    found = ['product="$product"']
    for label, value in labels.items():
        found.append(f'{label}!~"{value[1:]}"' if value.startswith("!") else f'{label}="{value}"')
    return f"{name}{{{', '.join(found)}}}"
