"""`make month`: four weeks of experiments, by the real commands, on a generated world and a simulated clock.

Each Monday what was answered is landed and measured, the ramp decides, and the weekly job makes both arms; then users
come for seven days, look their lists up through the real service, and react. Weeks are in `deploy/month/plot.py`.
"""

import datetime as dt
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from conf.errors import DiscoveryError
from conf.simulated_clock import VARIABLE, SimulatedClock
from deploy.chain import REPO, ProductFiles, running_loader
from deploy.demo.life import Life
from deploy.demo.world import generate
from deploy.environment import shell_variables
from deploy.month.commands import Commands
from deploy.month.month import Month
from deploy.month.plot import HERE, WEEKS, WORLD
from deploy.month.summary import summary
from deploy.servers.local_stack import LocalStack

_QUICK_JAVA = {"SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1"}
"""Java's second compiler would take a third of the processor time of jobs that are as small as these."""
PRODUCT = ProductFiles(REPO / "conf/prod_discovery.yml", (HERE / "month.yml",))


def main() -> int:
    """Lives the month. Returns the exit code: 0 when everything went as the plot says."""
    signal.signal(signal.SIGTERM, _interrupt)
    home = (Path(os.environ.get("DISCOVERY_HOME", "work")) / "month").absolute()
    start = time.monotonic()
    try:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        clock = SimulatedClock(home / "clock.json")
        clock.set(dt.datetime.combine(WORLD.as_of - dt.timedelta(weeks=1), dt.time(0, 20), dt.UTC))
        say("starting Kafka and Redis; generating the world")
        with LocalStack(home) as stack:
            generate(home / "data", WORLD)
            variables = shell_variables(home, stack.environment(), PRODUCT.config) | {VARIABLE: str(clock.file)}
            environment = {**os.environ, **_QUICK_JAVA, **variables}
            with running_loader(PRODUCT, environment, home / "loader.log"):
                commands = Commands(PRODUCT, environment, home / "commands.log")
                month = Month(home, Life.of(home / "data"), clock, commands, say)
                month.begin()
                for week in WEEKS:
                    month.live(week)
                month.end()
                sys.stdout.write(summary(month))
    except KeyboardInterrupt:
        say("interrupted; everything that was started is stopped")
        return 130
    except DiscoveryError as error:
        say(f"failed: {error}")
        return 1
    say(f"make month: all stopped after {time.monotonic() - start:.0f} s")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def say(text: str) -> None:
    """Tells whoever waits what happens."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S', time.gmtime())} month     {text}\n")


if __name__ == "__main__":
    sys.exit(main())
