"""The field's benchmarks by name: their published metrics, beside what trivial rules reach.

Papers print numbers of one benchmark that cannot be compared: groupings differ, ties are wrong or
half or left out, macro and micro averages share a heading. Here all are functions of the scored
items alone, so that one score table answers for every convention. Shares are from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points

import numpy as np

from infra.errors import InputError
from infra.findings import hint
from trainer.evaluation.metrics import ScoredItem
from trainer.evaluation.published_items import completeness
from trainer.evaluation.published_metrics import (
    judgebench,
    mm_rlhf_rewardbench,
    multimodal_rewardbench,
    rewardbench,
    rewardbench_2,
    rm_bench,
    vl_rewardbench,
)

ENTRY_POINT_GROUP = "rmsweep.benchmarks"
"""A user's own benchmark: the entry point names a `Measure`, its name an adapter's."""

Measure = Callable[[Sequence[ScoredItem]], dict[str, float]]
"""From the scored items to the benchmark's metrics; the first is the one it is known by."""

_BUILT_IN: dict[str, Measure] = {
    "vl-rewardbench": vl_rewardbench,
    "mm-rlhf-rewardbench": mm_rlhf_rewardbench,
    "multimodal-rewardbench": multimodal_rewardbench,
    "rewardbench": rewardbench,
    "rewardbench-2": rewardbench_2,
    "rm-bench": rm_bench,
    "judgebench": judgebench,
}


@cache
def suites() -> dict[str, Measure]:
    """Every benchmark with metrics of its own, built in or installed, by its adapter's name.

    Raises:
        InputError: If an installed one cannot be loaded.
    """
    known = dict(_BUILT_IN)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            known.setdefault(point.name, point.load())
        except (ImportError, AttributeError) as error:
            raise InputError(f"benchmark {point.name!r} cannot be loaded: {error}") from error
    return known


def field_metrics(
    items: Sequence[ScoredItem], suite: str, baselines: Mapping[str, Sequence[ScoredItem]]
) -> dict[str, float]:
    """The suite's metrics, and its headline metrics as the trivial baselines reach them.

    Args:
        items: As the model scored them.
        suite: Name of the benchmark of the field.
        baselines: The items as each baseline scores them, by its name.

    Returns:
        Beside the metrics `items`, and where it is known `published_items`.

    Raises:
        InputError: If there is no such suite.
    """
    if suite not in suites():
        raise InputError(f"unknown benchmark suite {suite!r}{hint(suite, suites())}")
    measure = suites()[suite]
    metrics = _known(measure(items))
    headlines = _headlines(metrics)
    for baseline, rescored in baselines.items():
        trivial = _known(measure(rescored))
        metrics |= {
            f"baseline_{baseline}_{name}": trivial[name] for name in headlines if name in trivial
        }
    return metrics | completeness(suite, len(items))


def _known(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not np.isnan(value)}


def _headlines(metrics: Mapping[str, float]) -> list[str]:
    """Those that summarise the whole benchmark: its first, and every macro or plus."""
    names = list(metrics)
    return [name for name in names if name == names[0] or name.startswith(("macro", "acc_plus"))]
