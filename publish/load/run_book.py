"""What the registry says, at hand for every record: read once a second, and whenever something unknown arrives."""

from publish.errors import StoreUnreachable
from publish.runs.registry import Registry
from publish.runs.run import Run


class RunBook:
    """The runs of a product by epoch; as fresh as its last `refresh`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._runs: dict[int, Run] = {}
        self._strangers: set[int] = set()

    @property
    def runs(self) -> tuple[Run, ...]:
        """Every run, the oldest first."""
        return tuple(self._runs.values())

    def refresh(self) -> None:
        """Read the registry again; raises StoreUnreachable."""
        self._runs = {run.announcement.epoch: run for run in self._registry.list_runs()}
        self._strangers = set()

    def find_fresh(self, epoch: int) -> Run | None:
        """As `find`, with the state that the run has this very moment."""
        self._strangers.discard(epoch)  # a Redis that lost its last writes gives an epoch out again
        known = self.find(epoch)
        now = None if known is None else self._registry.find(known.name)
        if now is not None:
            self._runs[epoch] = now
        elif known is not None:
            self._look_again(epoch)
        return self._runs.get(epoch)

    def find(self, epoch: int) -> Run | None:
        """The run of an epoch, or None when nobody announced it.

        Raises StoreUnreachable when the registry is empty: then it is the registry that is wrong, not the record.
        """
        if epoch not in self._runs and epoch not in self._strangers:
            self._look_again(epoch)
        return self._runs.get(epoch)

    def _look_again(self, epoch: int) -> None:
        self.refresh()
        # Judged by this very reading: a moment later the registry may be back, or gone.
        if not self._runs:
            raise StoreUnreachable(
                f"Redis knows no run of {self._registry.keys.product} while its topic has records: it lost "
                "its data; `discovery rebuild` restores it"
            )
        if epoch not in self._runs:
            self._strangers.add(epoch)
