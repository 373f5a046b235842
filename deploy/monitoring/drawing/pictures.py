"""`python -m deploy.monitoring.drawing.pictures FOLDER`: each dashboard as a page, of generated weeks."""

import argparse
import tempfile
from pathlib import Path

from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.drawing.draw import Asker, draw, read_dashboard, span_of
from deploy.monitoring.drawing.weeks import END, PRODUCT, samples
from deploy.monitoring.prometheus import Prometheus
from deploy.servers.prometheus_server import PrometheusServer


def main() -> None:
    """Writes the pages."""
    parser = argparse.ArgumentParser(description="draws the dashboards of twelve generated weeks")
    parser.add_argument("out", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weeks"
        with file.open("w") as lines:
            lines.writelines(samples())
        server = PrometheusServer(Path(folder) / "prometheus")
        server.backfill(file)
        with server:
            prometheus = Prometheus(server.url)
            for one in DASHBOARDS:
                dashboard = read_dashboard(one.name)
                span = span_of(dashboard, prometheus, PRODUCT, END)
                page = draw(dashboard, Asker(prometheus, PRODUCT, span))
                (given.out / f"{one.name}.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
