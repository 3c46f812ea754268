"""What every verb needs, opened once: settings, the ledger, the store of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from infra.settings import Settings, load_settings

if TYPE_CHECKING:
    from infra.object_store import ObjectStore
    from sweep.records.ledger import Ledger


@dataclass(frozen=True)
class Workplace:
    """This machine's settings and what hangs on them; opened when first asked for."""

    settings: Settings

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger the settings name, created when there is none."""
        from sweep.records.ledger import Ledger

        return Ledger.open(self.settings.ledger_url)

    def store(self, storage: str = "auto") -> ObjectStore:
        """The object store a sweep was given, or this machine's own."""
        from infra.object_store import open_store

        return open_store(self.settings.storage if storage == "auto" else storage)


def open_workplace() -> Workplace:
    """The workplace of this machine, from `RMSWEEP_*`."""
    return Workplace(load_settings())
