"""The day after the demo's run: users look their lists up through the service and answer them; what that comes to."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from conf.text_table import table
from deploy.chain import REPO, ChainFailed, ProductFiles, running_service
from deploy.demo.http_lists import HttpLists
from deploy.demo.life import Life
from deploy.demo.visits import DayVisited, visit
from models.outcomes.basis import Basis, HitRate


@dataclass(frozen=True)
class Answered:
    """A day of answers: what happened, and how much of it was landed."""

    day: DayVisited
    landed: int
    """Exposures that came into files."""
    missing: int
    """Exposures that were logged and dropped."""

    def text(self) -> str:
        """Returns what users did with their lists, each figure with its basis."""
        day = self.day
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in day.kinds.items())
        rates = (
            HitRate(Basis.ANSWERED, day.hits_of_answers, day.answers),
            HitRate(Basis.SHOWN, day.hits_of_shown, day.shown),
        )
        caused = HitRate(Basis.SHOWN, day.caused, day.shown)
        rows = [
            ("answered through the service", f"{day.answers:,} look-ups of {day.users:,} users: {kinds}"),
            ("landed as exposures", f"{self.landed:,}, {self.missing:,} missing"),
            ("shown by the app", f"{day.shown:,} first places of these lists: impressions"),
            *((f"{rate.basis.rate} (basis: {rate.basis})", f"{rate.text} · {rate.counts}") for rate in rates),
            (
                "  caused by being shown, as planted",
                f"{caused.text} · users find sources by themselves, too",
            ),
        ]
        head = f"Users answer their lists on {day.date} (a hit: they do something with the source later that day)"
        return f"{head}\n{table(rows, ('what', 'how much'), indent=1, to=sys.stdout)}\n"


def answer(product: ProductFiles, environment: Mapping[str, str], home: Path) -> Answered:
    """Lets the demo's world visit for a day through the real service, and lands what was answered.

    Raises ChainFailed, ServiceFailed, WorldError.
    """
    life = Life.of(home / "data")
    with running_service(product, environment, home / "serve.log") as url:
        day = visit(life, life.world.as_of, HttpLists(url, life.world.ids))
    words = [sys.executable, "-m", "jobs.cli", "exposures", "land", *product.flags, "--json"]
    done = subprocess.run(words, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChainFailed(f"exposures were not landed (exit code {done.returncode}): {done.stderr[-2000:]}")
    landed = json.loads(done.stdout)
    return Answered(day, landed["now"]["landed"], landed["missing"])
