"""What the registry says, at hand for every record: read once a second, and whenever something unknown arrives."""

from publish.errors import StoreUnreachable
from publish.runs.registry import Registry, Run


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
        if known is None:
            return None
        now = self._registry.find(known.name)
        if now is None:
            self._require_registry()
            self._runs.pop(epoch, None)
            return None
        self._runs[epoch] = now
        return now

    def find(self, epoch: int) -> Run | None:
        """The run of an epoch, or None when nobody announced it.

        Raises StoreUnreachable when the registry is empty: then it is the registry that is wrong, not the record.
        """
        if epoch not in self._runs and epoch not in self._strangers:
            self.refresh()
            if epoch not in self._runs:
                self._require_registry()
                self._strangers.add(epoch)
        return self._runs.get(epoch)

    def _require_registry(self) -> None:
        if not self._registry.knows_anything():
            raise StoreUnreachable(
                f"Redis knows no run of {self._registry.keys.product} while its topic has records: it lost "
                "its data; `discovery rebuild` restores it"
            )
