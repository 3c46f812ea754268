"""Sweeps that never happened: outcomes of two arms with known noise, thousands at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.components import Parts, variance_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How two arms and their items behave; all noise in units of an item's own difficulty."""

    seeds: int
    groups: int = 60
    items_per_group: int = 3
    seed_noise: float = 0.0
    """Shifts a whole trained model."""
    arm_by_group: float = 0.0
    """What an arm finds easy or hard whatever the seed; averages out over items."""
    seed_by_group: float = 0.2
    shift: float = 0.0
    """How much better the arm truly is."""


def simulated_parts(world: World, *, sweeps: int, seed: int) -> Parts:
    """Variance parts of the difference of two arms in many sweeps."""
    rng = np.random.default_rng(seed)
    shape = (sweeps, 1, world.groups, world.items_per_group)
    difficulty = rng.normal(size=shape) + 0.7 * rng.normal(size=(*shape[:-1], 1))
    right = _right_answers(world, difficulty, world.shift, rng)
    reference = _right_answers(world, difficulty, 0.0, rng)
    sizes = np.full(world.groups, float(world.items_per_group))
    return variance_parts((right - reference).astype(np.float64), sizes)


def _right_answers(
    world: World, difficulty: NDArray[np.float64], shift: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    sweeps, _, groups, items = difficulty.shape
    ability = (
        shift
        + world.arm_by_group * rng.normal(size=(sweeps, 1, groups, 1))
        + world.seed_noise * rng.normal(size=(sweeps, world.seeds, 1, 1))
        + world.seed_by_group * rng.normal(size=(sweeps, world.seeds, groups, 1))
        + 0.5 * rng.normal(size=(sweeps, world.seeds, groups, items))
    )
    right: NDArray[np.int64] = (ability + 1.0 > difficulty).sum(axis=-1)
    return right
