"""Small tables of curves, and sweeps on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweep.engine.decision_kinds import Decision, from_dict
from sweep.engine.fold import DECISIONS_KIND
from sweep.records.rows import Event
from sweep.replay.curves import CurveTable, make_table
from sweep.replay.curves_file import CurvesFile
from sweep.spec.sweep_spec import SweepSpec

COLUMNS = {
    "configuration": "name",
    "step": "step",
    "seconds": "seconds",
    "metric": "accuracy",
    "seed": "seed",
}


def table_of(
    ends: Sequence[Sequence[float]],
    *,
    steps: int = 9,
    seconds_per_step: float = 1.0,
    late: Mapping[int, float] | None = None,
) -> CurveTable:
    """A table of curves that rise in a line to their ends.

    Args:
        ends: What each seed of each configuration ends with.
        steps: Of every training.
        seconds_per_step: Of the first configuration; the second takes half as long again, ...
        late: Added to a configuration's figure at its last step only.
    """
    rows = [
        {
            "name": f"c{index:03d}",
            "width": index,
            "seed": seed,
            "step": step,
            "seconds": step * seconds_per_step * (1 + index / 2),
            "accuracy": end * step / steps
            + ((late or {}).get(index, 0.0) if step == steps else 0.0),
        }
        for index, seeds in enumerate(ends)
        for seed, end in enumerate(seeds)
        for step in range(1, steps + 1)
    ]
    described = CurvesFile.model_validate({"curves": "-", "columns": COLUMNS})
    return make_table(described, pd.DataFrame(rows), name="made")


def random_table(
    arms: int, *, seeds: int = 1, steps: int = 9, seed: int = 0, lost: float = 0.0
) -> CurveTable:
    """Curves that cross; some figures are lost."""
    generator = np.random.default_rng(seed)
    frames = []
    for arm in range(arms):
        for repetition in range(seeds):
            values = np.cumsum(generator.normal(0.1, 0.3, steps))
            values[generator.random(steps) < lost] = np.nan
            frames.append(
                pd.DataFrame(
                    {
                        "name": f"c{arm:03d}",
                        "width": arm,
                        "seed": repetition,
                        "step": np.arange(1, steps + 1),
                        "seconds": np.cumsum(generator.uniform(0.1, 9.0, steps)),
                        "accuracy": values,
                    }
                )
            )
    described = CurvesFile.model_validate({"curves": "-", "columns": COLUMNS})
    return make_table(described, pd.concat(frames, ignore_index=True), name="random")


def spec_of(seeds: int = 1, **settings: Any) -> SweepSpec:  # noqa: ANN401 -- any section of a file
    """A sweep file over a table."""
    return SweepSpec.model_validate({"name": "made", "replicates": {"seeds": seeds}} | settings)


def decisions_in(events: Sequence[Event]) -> list[Decision]:
    """Every decision that was written down, in order."""
    return [
        from_dict(value)
        for event in events
        if event.kind == "decision" and event.payload["kind"] == DECISIONS_KIND
        for value in event.payload["decision"]["decisions"]
    ]
