"""What a command of `discovery` said, for tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PASSWORD = "hunter2-hunter2"
"""Of Redis; no command ever shows it."""
NOBODY = "20261116T030000Z-20261116-9"
"""A run that nobody announced."""


@dataclass(frozen=True)
class CommandResult:
    """How a command ended."""

    code: int
    out: str
    log: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Discovery = Callable[..., CommandResult]
