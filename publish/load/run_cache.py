"""What the registry says, at hand for every record: read once a second, and whenever something unknown arrives."""

from itertools import permutations

from publish.errors import MalformedMessage, StoreUnreachable
from publish.runs.registry import RunRegistry
from publish.runs.run import Register, RegisteredRun, RunState, UnreadableRun


class RunCache:
    """The runs of a product by epoch; as fresh as its last `refresh`."""

    def __init__(self, registry: RunRegistry) -> None:
        self._registry = registry
        self._all = Register((), ())
        self._runs: dict[int, RegisteredRun] = {}
        self._strangers: set[int] = set()

    @property
    def runs(self) -> tuple[RegisteredRun, ...]:
        """Every run, the oldest first."""
        return self._all.runs

    @property
    def unreadable(self) -> tuple[UnreadableRun, ...]:
        """The records of the registry that this version cannot read."""
        return self._all.unreadable

    @property
    def rivals(self) -> tuple[tuple[RegisteredRun, RegisteredRun], ...]:
        """Runs on their way, each with another one of its epoch that is not over: their lists look the same."""
        going = [run for run in self.runs if not run.state.is_over]
        pairs = (
            (one, other) for one, other in permutations(going, 2) if one.announcement.epoch == other.announcement.epoch
        )
        return tuple((one, other) for one, other in pairs if one.state is not RunState.READY)

    def refresh(self) -> None:
        """Read the registry again; raises StoreUnreachable."""
        self._all = self._registry.read_all()
        self._runs = {}
        for run in self._all.runs:
            known = self._runs.get(run.announcement.epoch)
            if known is None or known.state.is_over:
                self._runs[run.announcement.epoch] = run
        self._strangers = set()

    def find_fresh(self, epoch: int) -> RegisteredRun | None:
        """As `find`, with the state that the run has this very moment."""
        self._strangers.discard(epoch)  # a Redis that lost its last writes gives an epoch out again
        known = self.find(epoch)
        now = None if known is None else self._find_now(known.name)
        if now is not None:
            self._runs[epoch] = now
        elif known is not None:
            self._look_again(epoch)
        return self._runs.get(epoch)

    def _find_now(self, run: str) -> RegisteredRun | None:
        try:
            return self._registry.find(run)
        except MalformedMessage:  # damaged since a moment ago; reading all of it tells so
            return None

    def find(self, epoch: int) -> RegisteredRun | None:
        """Returns the run of an epoch, or None when nobody announced one that can be read.

        Raises StoreUnreachable when the registry is empty: then it is the registry that is wrong, not the record.
        """
        if epoch not in self._runs and epoch not in self._strangers:
            self._look_again(epoch)
        return self._runs.get(epoch)

    def why_unknown(self, epoch: int) -> str:
        """Returns why there is no run of an epoch."""
        for run in self.unreadable:
            if run.epoch == epoch:
                return f"the record of run {run.name}, of epoch {epoch}, cannot be read: {run.why}"
        return f"nobody announced a run of epoch {epoch}"

    def _look_again(self, epoch: int) -> None:
        self.refresh()
        # Judged by this very reading: a moment later the registry may be back, or gone.
        if self._all == Register((), ()):
            raise StoreUnreachable(
                f"Redis knows no run of {self._registry.keys.product} while its topic has records: it lost "
                "its data; `discovery rebuild` restores it"
            )
        if epoch not in self._runs:
            self._strangers.add(epoch)
