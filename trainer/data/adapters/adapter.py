"""`Adapter`: one published row shape, and how a row of it becomes rows of our normal form.

An adapter is a pure function of one untrusted row; it opens no file. Whatever it meets that it
does not understand is a counted reason, never a crash. Other packages add adapters through the
entry-point group `rmsweep.adapters`: the entry point names an `Adapter`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from infra.errors import DataError
from trainer.data.items import Response
from trainer.data.pair_rows import PairRow, Reason, UnusableRow

ENTRY_POINT_GROUP = "rmsweep.adapters"

Row = Mapping[str, Any]

_BUILT_IN = (
    "trainer.data.adapters.multimodal",
    "trainer.data.adapters.judgements",
    "trainer.data.adapters.texts",
    "trainer.data.adapters.formats",
    "trainer.data.adapters.benchmarks",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How rows of one published set are read."""

    name: str
    """What a source's `kind` says."""
    doc: str
    """The set, its size and licence, in one line."""
    convert: Callable[[Row], Iterable[PairRow]]
    """May raise `UnusableRow`; one row may give several items, or none."""
    version: str = "1"
    """Raised whenever the same row would give other items."""
    benchmark: bool = False
    """Whether the whole set is held out: it keeps its own ids and the published order of the
    responses, and all of it is the test split."""
    text_only: bool = False
    """Whether no row of the set shows an image, so that plans count none."""


@cache
def adapters() -> dict[str, Adapter]:
    """Every known adapter, built in or installed, by name.

    Raises:
        DataError: If two have one name, or an installed one cannot be loaded.
    """
    known: dict[str, Adapter] = {}
    for module in _BUILT_IN:
        for adapter in import_module(module).ADAPTERS:
            known[adapter.name] = adapter
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            adapter = point.load()
        except (ImportError, AttributeError) as error:
            raise DataError(f"adapter {point.name!r} cannot be loaded: {error}") from error
        if not isinstance(adapter, Adapter):
            raise DataError(
                f"adapter {point.name!r} ({point.value}) must be a trainer.data.adapters.adapter."
                f"Adapter, got {type(adapter).__name__}"
            )
        if adapter.name in known:
            raise DataError(f"adapter {adapter.name!r} is defined twice; uninstall one")
        known[adapter.name] = adapter
    return known


def converted(adapter: Adapter, row: object) -> list[PairRow]:
    """A row's items, each checked.

    Raises:
        UnusableRow: If the row is not of this shape, or one of its items cannot be used.
    """
    if not isinstance(row, Mapping):
        raise UnusableRow(Reason.NO_MAPPING)
    try:
        found = list(adapter.convert(row))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError):
        # Rows come from anywhere; an adapter says what it expects, not what all might hold.
        raise UnusableRow(Reason.SHAPE) from None
    for each in found:
        check(each, benchmark=adapter.benchmark)
    return found


def check(row: object, *, benchmark: bool) -> None:
    """Make sure that an item can be trained on, or measured with.

    A benchmark keeps responses that are empty or alike: it is scored as it was published.

    Raises:
        UnusableRow: With the first reason found.
    """
    if not isinstance(row, PairRow) or not all(isinstance(r, Response) for r in row.responses):
        raise UnusableRow(Reason.SHAPE)
    _check_numbers(row)
    texts = [response.text for response in row.responses]
    if not all(isinstance(text, str) for text in (row.prompt, *texts)):
        raise UnusableRow(Reason.NOT_TEXT)
    if not row.prompt.strip():
        raise UnusableRow(Reason.NO_PROMPT)
    if len(texts) < 2:
        raise UnusableRow(Reason.ONE_RESPONSE)
    if not benchmark and not all(text.strip() for text in texts):
        raise UnusableRow(Reason.EMPTY)
    if not benchmark and len({text.strip() for text in texts}) < len(texts):
        raise UnusableRow(Reason.SAME)


def _check_numbers(row: PairRow) -> None:
    """What a loss is computed with; a number of another kind would end a training, or bend it."""
    known = (
        (row.margin, 0.0, math.inf, Reason.MARGIN),
        (row.soft_label, 0.0, 1.0, Reason.SOFT_LABEL),
        (row.label_weight, math.ulp(0.0), math.inf, Reason.WEIGHT),
    )
    for value, least, most, reason in known:
        if value is not None and not (least <= value <= most and math.isfinite(value)):
            raise UnusableRow(reason)
    if row.soft_label is not None and len(row.responses) != 2:
        raise UnusableRow(Reason.SOFT_LABEL)
