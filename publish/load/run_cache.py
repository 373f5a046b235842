"""Caches the registry, so that each record's run is known; refreshed every second and for every unknown epoch."""

from itertools import permutations

from publish.errors import MalformedMessage, StoreUnreachable
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun, RegistryContent, RunState, UnreadableRun


class RunCache:
    """The runs of a product by epoch, as of the last `refresh`."""

    def __init__(self, registry: RunRegistry) -> None:
        self._registry = registry
        self._all = RegistryContent((), ())
        self._runs: dict[int, RegisteredRun] = {}
        self._unknown_epochs: set[int] = set()

    @property
    def runs(self) -> tuple[RegisteredRun, ...]:
        """Every run, oldest first."""
        return self._all.runs

    @property
    def unreadable(self) -> tuple[UnreadableRun, ...]:
        """The records of the registry that this version cannot read."""
        return self._all.unreadable

    @property
    def rivals(self) -> tuple[tuple[RegisteredRun, RegisteredRun], ...]:
        """Runs under way, each with another run of its epoch that is not over: their lists look the same."""
        going = [run for run in self.runs if not run.state.is_over]
        pairs = (
            (one, other) for one, other in permutations(going, 2) if one.announcement.epoch == other.announcement.epoch
        )
        return tuple((one, other) for one, other in pairs if one.state is not RunState.READY)

    def refresh(self) -> None:
        """Reads the registry again; raises StoreUnreachable."""
        self._all = self._registry.read_all()
        self._runs = {}
        for run in self._all.runs:
            known = self._runs.get(run.announcement.epoch)
            if known is None or known.state.is_over:
                self._runs[run.announcement.epoch] = run
        self._unknown_epochs = set()

    def find_fresh(self, epoch: int) -> RegisteredRun | None:
        """Returns the run of an epoch with its current state; otherwise as `find`."""
        self._unknown_epochs.discard(epoch)  # a Redis that lost its last writes may issue an epoch again
        known = self.find(epoch)
        now = None if known is None else self._find_now(known.name)
        if now is not None:
            self._runs[epoch] = now
        elif known is not None:
            self._refresh_for(epoch)
        return self._runs.get(epoch)

    def _find_now(self, run: str) -> RegisteredRun | None:
        try:
            return self._registry.find(run)
        except MalformedMessage:  # damaged just now; reading everything reports it
            return None

    def find(self, epoch: int) -> RegisteredRun | None:
        """Returns the run of an epoch, or None if no announced run that can be read has it.

        Raises StoreUnreachable when the registry is empty: then the registry is wrong, not the record.
        """
        if epoch not in self._runs and epoch not in self._unknown_epochs:
            self._refresh_for(epoch)
        return self._runs.get(epoch)

    def why_unknown(self, epoch: int) -> str:
        """Returns why no run of this epoch is known."""
        for run in self.unreadable:
            if run.epoch == epoch:
                return f"the record of run {run.name}, of epoch {epoch}, cannot be read: {run.why}"
        return f"no announced run has epoch {epoch}"

    def _refresh_for(self, epoch: int) -> None:
        self.refresh()
        # Decided by this reading only: a moment later the registry may be back, or gone.
        if self._all == RegistryContent((), ()):
            raise StoreUnreachable(
                f"Redis knows no run of {self._registry.keys.product} while its topic has records: it lost "
                "its data; `discovery rebuild` restores it"
            )
        if epoch not in self._runs:
            self._unknown_epochs.add(epoch)
