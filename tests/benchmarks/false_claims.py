"""How often a report claims what is not so: `python -m tests.benchmarks.false_claims`.

A/A sweeps: every arm is the baseline's recipe with seeds of its own. A case counts as a false claim
when the report claims a difference for any arm of the family. Then effects are planted that are as
large as the report calls detectable, and it is counted how often they are claimed; the promise is
four times in five. Intervals are Clopper and Pearson's.

Beside the claims about recipes stands what is said of the trained models alone ("better for these
trained models only"): how often it is said in A/A sweeps, where luck does make models differ, and
how often its direction contradicts the models' true abilities.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import brentq
from scipy.stats import binomtest

from analysis.effects import Contrasts, Effect, effects
from analysis.outcomes import contrasts
from analysis.statistics.paired import Comparison
from analysis.statistics.planning import minimum_detectable_effect
from tests.analysis.simulated_sweeps import BASE, MadeWorld, draw

SEEDS = (2, 3, 5, 8)
LUCK = {"small": 0.02, "dominant": 0.3}
ARMS = (2, 6, 21)
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of cases with its 95 % interval."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, found: int, cases: int) -> Rate:
        """From counts."""
        interval = binomtest(found, cases).proportion_ci(0.95)
        return cls(share=found / cases, low=float(interval.low), high=float(interval.high))

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} ({100 * self.low:.1f}-{100 * self.high:.1f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table."""

    arms: int
    seeds: int
    seed_noise: str
    false_claims: Rate
    """Of A/A sweeps, those in which any difference is claimed."""
    models_said: Rate
    """Of A/A comparisons, those said to differ for the trained models only."""
    models_wrong: Rate
    """Of A/A comparisons, those of which the wrong direction is said."""
    planted_points: float
    """The planted difference of accuracies, in points: what the report calls detectable."""
    found: Rate
    """Of sweeps with a planted effect, those that claim it."""


def measure(world: MadeWorld, seed_noise: str, sweeps: int) -> Setting:
    """False claims and power of one setting."""
    asked = [
        Effect(name=f"arm{n}", reference="baseline", arm_pairs=((f"arm{n}", "baseline"),))
        for n in range(1, world.arms)
    ]
    rng = np.random.default_rng([world.arms, world.seeds, int(100 * world.luck)])
    any_claim = said = wrong = 0
    for _ in range(sweeps):
        made = draw(world, rng)
        verdicts = [effect.verdict for effect in effects(Contrasts(made.outcomes), asked)]
        any_claim += any(verdict is not None and verdict.claims for verdict in verdicts)
        for verdict, advantage in zip(verdicts, made.advantage, strict=True):
            if verdict is not None and verdict.models != "not distinguishable":
                said += 1
                wrong += (verdict.models == "better") != (advantage > 0)
    strict = ALPHA / len(asked)
    detectable = minimum_detectable_effect(_typical(world), alpha=strict) or 0.0
    shift = _shift_for(world, detectable)
    planted = replace(world, shifts=(shift,)) if shift is not None else None
    found = 0
    for _ in range(sweeps if planted is not None else 0):
        verdict = effects(Contrasts(draw(planted or world, rng).outcomes), asked)[0].verdict
        found += verdict is not None and verdict.claims and verdict.word == "better"
    return Setting(
        arms=world.arms,
        seeds=world.seeds,
        seed_noise=seed_noise,
        false_claims=Rate.of(any_claim, sweeps),
        models_said=Rate.of(said, sweeps * len(asked)),
        models_wrong=Rate.of(wrong, sweeps * len(asked)),
        planted_points=100 * detectable if planted is not None else float("nan"),
        found=Rate.of(found, sweeps),
    )


def _typical(world: MadeWorld) -> Comparison:
    """A comparison whose variances are means over many sweeps: what the promise is made for."""
    rng = np.random.default_rng(1)
    pair = replace(world, arms=2)
    found = [
        each
        for _ in range(400)
        for each in contrasts(draw(pair, rng).outcomes, [(("arm1", "baseline"),)])
        if each is not None
    ]
    parts = replace(
        found[0].parts,
        seed=np.asarray(np.mean([each.parts.seed for each in found])),
        # Not held at zero, unlike in a single sweep, where it is a difference of estimates.
        group=np.asarray(np.mean([each.parts.group for each in found])),
    )
    return replace(found[0], parts=parts)


def _shift_for(world: MadeWorld, difference: float) -> float | None:
    """The ability beyond the baseline's that makes this difference of accuracies; none if none."""
    rng = np.random.default_rng(2)
    spread = (0.8**2 + 0.5**2 + 0.5**2 + 0.2**2 + 2 * world.luck**2) ** 0.5
    noise = spread * rng.normal(size=1_000_000)
    base = float((BASE + noise > 0).mean())

    def excess(shift: float) -> float:
        return float((BASE + shift + noise > 0).mean()) - base - difference

    if excess(20.0) <= 0:
        return None
    return float(brentq(excess, 0.0, 20.0, xtol=1e-4))


def _settings(sweeps: int) -> Iterator[Setting]:
    for arms, (seed_noise, luck), seeds in product(ARMS, LUCK.items(), SEEDS):
        world = MadeWorld(arms=arms, seeds=seeds, luck=luck)
        # Large families take longer and are as good with fewer sweeps.
        yield measure(world, seed_noise, sweeps if arms < 10 else max(100, sweeps // 2))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=1000, help="per setting")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/false_claims.json"))
    asked = parser.parse_args()
    table = Table(title=f"claims in % of cases, {asked.sweeps} sweeps a setting, 95 % intervals")
    headings = ("arms", "seeds", "seed noise", "false claims", "models said", "models wrong")
    for heading in (*headings, "planted points", "found"):
        table.add_column(heading, justify="right")
    rows = []
    for row in _settings(asked.sweeps):
        rows.append(asdict(row))
        nothing = np.isnan(row.planted_points)
        table.add_row(
            str(row.arms), str(row.seeds), row.seed_noise, str(row.false_claims),
            str(row.models_said), str(row.models_wrong),
            "none fits" if nothing else f"{row.planted_points:.1f}",
            "-" if nothing else str(row.found),
        )  # fmt: skip
    Console(width=120).print(table)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    asked.out.write_text(
        json.dumps({**machine, "sweeps": asked.sweeps, "settings": rows}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
