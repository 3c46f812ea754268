"""A user's own benchmark, brought by an entry point: measured their way, beside ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from infra.errors import InputError
from tests.trainer.scored_rows import counted, measured
from trainer.evaluation import field_metrics as field_metrics_module
from trainer.evaluation.field_metrics import suites
from trainer.evaluation.metrics import ScoredItem


def best_category(items: Sequence[ScoredItem]) -> dict[str, float]:
    """A user's own benchmark: the share of items in the category `chat`."""
    return {"chatty": float(np.mean([item.category == "chat" for item in items]))}


def not_its_own(items: Sequence[ScoredItem]) -> dict[str, float]:
    """A user's own benchmark that calls something else what every benchmark has."""
    return {"chatty": 1.0, "accuracy": 1.0, "pairs": float(len(items))}


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The two of them, as an installed package's entry points name them."""
    monkeypatch.setitem(sys.modules, "brought_by_a_user", sys.modules[__name__])
    named = {"mine": "best_category", "not-mine": "not_its_own"}
    points = EntryPoints(
        EntryPoint(name, f"brought_by_a_user:{function}", "rmsweep.benchmarks")
        for name, function in named.items()
    )
    monkeypatch.setattr(
        field_metrics_module, "entry_points", lambda group: points.select(group=group)
    )
    suites.cache_clear()
    yield
    suites.cache_clear()


@pytest.mark.usefixtures("brought")
def test_a_user_s_own_benchmark_is_measured_their_way() -> None:
    metrics = measured(counted({"chat": (1, 3), "code": (0, 1)}), "mine")

    assert metrics["chatty"] == metrics["baseline_longer_chatty"] == 0.75


@pytest.mark.usefixtures("brought")
def test_a_user_s_own_benchmark_cannot_rename_what_every_benchmark_has() -> None:
    with pytest.raises(InputError, match="'not-mine' gives accuracy, pairs, which every benchmark"):
        measured(counted({"chat": (1, 3)}), "not-mine")
