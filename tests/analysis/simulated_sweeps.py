"""Sweeps as outcomes of equal or planted arms, drawn without ledger or files.

A pair comes out right when ability, plus the seed's luck, plus what is the model's own on the pair
exceeds the pair's difficulty. Every trained model has its own luck; models of the same seed share
a part of it (same order of data), which pairing by seed takes away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.outcomes import Outcomes
from analysis.statistics.components import Floats

BASE = 0.0
"""Ability of the baseline: half of the pairs right, which leaves room for any planted effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeWorld:
    """The truth about a family of arms, the first of which is the baseline."""

    arms: int
    seeds: int
    luck: float
    """Standard deviation of a model's ability around its recipe's, in units of difficulty."""
    shifts: tuple[float, ...] = ()
    """Ability of the first arms after the baseline beyond the baseline's; the rest are equal."""
    groups: int = 150
    per_group: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOutcomes:
    """Outcomes and what is true of the trained models behind them."""

    outcomes: Outcomes
    advantage: Floats
    """`(arms - 1)` -- mean ability of an arm's models beyond that of the baseline's models."""


def draw(world: MadeWorld, rng: np.random.Generator) -> MadeOutcomes:
    """One sweep."""
    names = ["baseline", *(f"arm{number}" for number in range(1, world.arms))]
    ability = np.full(world.arms, BASE)
    ability[1 : 1 + len(world.shifts)] += world.shifts
    items = world.groups * world.per_group
    codes = np.repeat(np.arange(world.groups), world.per_group)
    difficulty = 0.8 * rng.normal(size=items) + 0.5 * rng.normal(size=world.groups)[codes]
    shared = world.luck * rng.normal(size=(1, world.seeds))
    models = ability[:, None] + shared + world.luck * rng.normal(size=(world.arms, world.seeds))
    own = 0.5 * rng.normal(size=(world.arms, world.seeds, items))
    # A recipe has strengths of its own: an arm is not the baseline's copy on every item.
    strengths = 0.2 * rng.normal(size=(world.arms, 1, items))
    right = models[..., None] + strengths + own > difficulty
    outcomes = Outcomes(
        benchmark="test",
        trials=tuple((name, seed) for name in names for seed in range(world.seeds)),
        pairs=pd.DataFrame({"group_id": codes.astype(str), "category": "", "source": ""}),
        values=right.reshape(-1, items).astype(np.float64),
        convention="ties are wrong",
    )
    means = models.mean(axis=1)
    return MadeOutcomes(outcomes=outcomes, advantage=means[1:] - means[0])
