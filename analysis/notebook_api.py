"""What the notebooks use: open sweeps, show sections, compare.

In a notebook::

    from analysis.notebook_api import open_page, show

    page = open_page("reward-head")  # a sweep by name, from this machine's ledger
    show.effects(page)  # a section: effects of every level, drawn and tested

    page.ablation.axes[0].levels[0].sentence  # what may be said of a level
    page.tables.arms  # pandas: one row per arm; `.trials`, `.curves`, `.items(...)` likewise
    show.text("mine", "My section", prose=["..."], tables=[TextTable(...)])

`show` has a function per section: `summary`, `recipe`, `effects`, `arms`, `curves`, `slices`,
`images`, `importance`, `interactions`, `cost_front`, `sanity`, `ensemble`, `comparison`,
`foreign_models`, `cost`, `unknowns`, `reproduce`, those of the paper's tables, and `text` for one's
own.
Whatever else a cell shows - a frame, a figure - and every Markdown cell is in the report as well.

Invariant: a notebook that `rmsweep report` executes reads the ledger the command has opened; the
same notebook in Jupyter reads the one that `RMSWEEP_HOME` or `RMSWEEP_LEDGER_URL` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from analysis import show
from analysis.foreign.tables import ForeignScores, read_foreign_scores
from analysis.report.page import SweepPage, build_page
from analysis.report.text_tables import TextTable
from analysis.statistics.paired import Convention
from analysis.tables import SweepTables, open_sweep, read_sweep
from infra.errors import InputError
from infra.object_store import ObjectStore
from sweep.records.ledger import Ledger

__all__ = [
    "SweepPage",
    "TextTable",
    "open_page",
    "open_pages",
    "open_scores",
    "open_tables",
    "reading",
    "show",
]

_READ: ContextVar[tuple[Ledger, ObjectStore] | None] = ContextVar("read", default=None)


def open_tables(name_or_id: str) -> SweepTables:
    """A sweep's tables, without comparing anything yet.

    Raises:
        MissingError: If there is no such sweep, naming near names.
    """
    held = _READ.get()
    if held is None:
        return open_sweep(name_or_id)
    ledger, store = held
    return read_sweep(ledger, name_or_id, store=store)


def open_page(
    name_or_id: str, *, benchmark: str | None = None, convention: Convention = "ties are wrong"
) -> SweepPage:
    """A sweep with its comparisons made, as the sections show it.

    Args:
        name_or_id: A sweep's id, a prefix of it, or the name of the newest one.
        benchmark: A test benchmark; the first one the sweep has when empty or absent.
        convention: How tied scores count.

    Raises:
        InputError: If the benchmark's items are validation items.
        MissingError: If there is no such sweep, naming near names.
    """
    return build_page(open_tables(name_or_id), benchmark or None, convention=convention)


def open_scores(folder: str) -> ForeignScores | None:
    """Models scored elsewhere, from a folder of score tables; none where no folder is named.

    Raises:
        InputError: With all that is wrong with the folder.
    """
    return read_foreign_scores(folder) if folder else None


def open_pages(names: Sequence[str], *, benchmark: str | None = None) -> list[SweepPage]:
    """Several sweeps, each once, in the order named.

    Raises:
        InputError: If none is named.
        MissingError: If one does not exist.
    """
    if not names:
        raise InputError("a report needs at least one sweep, got none")
    pages = [open_page(name, benchmark=benchmark) for name in names]
    return list({page.tables.sweep_id: page for page in pages}.values())


@contextmanager
def reading(ledger: Ledger, store: ObjectStore) -> Iterator[None]:
    """Within the block, sweeps are read from this ledger."""
    token = _READ.set((ledger, store))
    try:
        yield
    finally:
        _READ.reset(token)
