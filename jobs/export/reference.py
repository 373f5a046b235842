"""Generates docs/metrics.md from the table of metrics: `python -m jobs.export.reference > docs/metrics.md`."""

import sys
from collections.abc import Iterator, Mapping, Sequence

from jobs.export.metrics import ABOUT_ITSELF, PROGRAMS, SOURCES
from publish.metric import Metric

_HEAD = """# Metrics

Made by `make reference` of `jobs/export/metrics.py`; tests check that the programs export exactly this.
What to scrape, and how often: [monitoring.md](monitoring.md).

Every metric has `product`; none names a user, a source or a run. Times are timestamps, so that the dead age:
`time() - discovery_run_last_success_timestamp_seconds` is an age. What is not known has no series.
The reader library has no metrics of its own: its caller asks it ([reader.md](reader.md)).
"""
_SAID = {
    "discovery export": "Read anew for each scrape from what Redis and the work folder hold, by source; a source that "
    "cannot be read has `discovery_export_source_up` 0, and its metrics are absent.",
    "discovery load": "Of one loader, at its `--metrics-port`; counts begin with the process.",
    "discovery serve": "Of one service, all of its processes, at its `/metrics`; counts begin with the service.",
}
_SOURCES = {
    "redis": "Source `redis`: pointer, registry, positions and memory",
    "runs": "Source `runs`: manifests, reports of gates and drift in the run folders",
    "outcomes": "Source `outcomes`: landed answers, measured days",
    "experiments": "Source `experiments`: the newest experiment, its sums and decisions",
}


def reference() -> str:
    """Returns the page."""
    return "\n".join([_HEAD, *_lines()])


def _lines() -> Iterator[str]:
    for program, metrics in PROGRAMS.items():
        yield f"## `{program}`"
        yield f"{_SAID[program]}\n"
        if program != "discovery export":
            yield _table(metrics)
            continue
        yield _table(ABOUT_ITSELF)
        for source, some in SOURCES.items():
            yield f"### {_SOURCES[source]}\n"
            yield _table(some)


def _table(metrics: tuple[Metric, ...]) -> str:
    rows = ["| name | kind | labels | what it says |", "| --- | --- | --- | --- |"]
    rows += [f"| `{one.name}` | {one.kind} | {_labels(one.labels)} | {one.help} |" for one in metrics]
    return "\n".join([*rows, ""])


def _labels(labels: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"`{label}`: {', '.join(map(str, values))}" for label, values in labels.items())


if __name__ == "__main__":
    sys.stdout.write(reference())
