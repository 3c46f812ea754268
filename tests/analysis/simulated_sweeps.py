"""Sweeps as outcomes of equal or planted arms, drawn without ledger or files.

A pair comes out right when ability, plus the seed's luck, plus what is the model's own on the pair
exceeds the pair's difficulty. Every trained model has its own luck; models of the same seed share
a part of it (same order of data), which pairing by seed takes away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.outcomes import Outcomes
from analysis.statistics.components import Floats
from sweep.engine.growing.racing import contenders

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
    models = _models(world, rng)
    means = models.mean(axis=1)
    return MadeOutcomes(
        outcomes=_outcomes(world, models, rng, benchmark="test"), advantage=means[1:] - means[0]
    )


def draw_raced(world: MadeWorld, rng: np.random.Generator, *, initial: int) -> Outcomes:
    """One sweep whose arms raced on validation accuracy: outcomes on test, of unequal seeds.

    Args:
        world: Its `seeds` are what an arm that is never decided gets.
        rng: Draws everything.
        initial: Seeds every arm begins with.
    """
    models = _models(world, rng)
    validation = _outcomes(world, models, rng, benchmark="validation")
    test = _outcomes(world, models, rng, benchmark="test")
    held = {arm: dict.fromkeys(range(initial)) for arm in validation.arms}
    while True:
        results = {
            arm: {seed: float(validation.of(arm, [seed]).mean()) for seed in seeds}
            for arm, seeds in held.items()
        }
        staying = contenders(results, sign=1.0, item=1 / len(validation.pairs))
        more = [arm for arm in staying if len(held[arm]) < world.seeds]
        if len(staying) < 2 or not more:
            break
        for arm in more:
            held[arm][len(held[arm])] = None
    rows = [row for row, (arm, seed) in enumerate(test.trials) if seed in held[arm]]
    return replace(test, trials=tuple(test.trials[row] for row in rows), values=test.values[rows])


def _models(world: MadeWorld, rng: np.random.Generator) -> Floats:
    """`(arms, seeds)` -- ability of every trained model."""
    ability = np.full(world.arms, BASE)
    ability[1 : 1 + len(world.shifts)] += world.shifts
    shared = world.luck * rng.normal(size=(1, world.seeds))
    own = world.luck * rng.normal(size=(world.arms, world.seeds))
    return np.asarray(ability[:, None] + shared + own, dtype=np.float64)


def _outcomes(
    world: MadeWorld, models: Floats, rng: np.random.Generator, *, benchmark: str
) -> Outcomes:
    items = world.groups * world.per_group
    codes = np.repeat(np.arange(world.groups), world.per_group)
    difficulty = 0.8 * rng.normal(size=items) + 0.5 * rng.normal(size=world.groups)[codes]
    own = 0.5 * rng.normal(size=(world.arms, world.seeds, items))
    # A recipe has strengths of its own: an arm is not the baseline's copy on every item.
    strengths = 0.2 * rng.normal(size=(world.arms, 1, items))
    right = models[..., None] + strengths + own > difficulty
    names = ["baseline", *(f"arm{number}" for number in range(1, world.arms))]
    return Outcomes(
        benchmark=benchmark,
        trials=tuple((name, seed) for name in names for seed in range(world.seeds)),
        pairs=pd.DataFrame({"group_id": codes.astype(str), "category": "", "source": ""}),
        values=right.reshape(-1, items).astype(np.float64),
        convention="ties are wrong",
    )
