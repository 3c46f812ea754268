"""Looking again and again at a ledger, a store or a head, which may be away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from infra.errors import StoreError
from sweep.cli.console import print_warning

T = TypeVar("T")


class Looking:
    """Knows when what is looked at last answered."""

    def __init__(self, lost_seconds: float) -> None:
        """Prepare.

        Args:
            lost_seconds: How long what does not answer is waited for.
        """
        self._lost_seconds = lost_seconds
        self._heard = time.monotonic()
        self._told = False

    def at(self, look: Callable[[], T]) -> T | None:
        """What a look found; None where nothing answered, of which an outage warns once.

        Raises:
            StoreError: If nothing has answered for too long.
        """
        try:
            found = look()
        except StoreError as error:
            if time.monotonic() - self._heard > self._lost_seconds:
                raise
            if not self._told:
                print_warning(f"{error}; looking again")
                self._told = True
            return None
        self._heard = time.monotonic()
        self._told = False
        return found
