"""Factorial and fractional designs: which axes matter, alone and in pairs.

Analysis of variance of the trials' accuracies on one benchmark, seeds as blocks. Invariant: a term
that the trained points cannot tell from terms before it is not tested but listed with its aliases,
and what three axes do together is counted as noise, which is said.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.outcomes import Outcomes
from analysis.statistics.components import Floats
from analysis.statistics.corrections import holm
from analysis.tables import SweepTables
from sweep.engine.designs.aliases import alias_lines

MOST_PARAMETERS = 200
"""More levels and pairs of levels than this make no table anyone reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What an axis, or two together, do to accuracy."""

    axes: tuple[str, ...]
    degrees: int
    share: float
    """Of the variance between trials (eta squared)."""
    p_value: float | None
    """Holm-corrected over all terms; absent where nothing is left to estimate noise from."""

    @property
    def name(self) -> str:
        """`head`, or `head x scale`."""
        return " x ".join(self.axes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factorial:
    """Main effects and interactions of a sweep's axes."""

    benchmark: str
    terms: tuple[Term, ...]
    """Single axes first, then pairs, in the order of the axes."""
    not_estimable: tuple[str, ...]
    """Terms the trained points cannot tell apart from those above."""
    aliases: tuple[str, ...]
    """`a = b x c`: what a does is what b and c do together; `~` partly so."""
    residual_degrees: int
    noise: float | None
    """Standard deviation of accuracy that no term explains."""
    basis: str
    """Trials, seeds, items and what the figures hold for."""


def factorial(tables: SweepTables, outcomes: Outcomes) -> Factorial | None:
    """Main effects and two-axis interactions; none for a sweep that varies one thing at a time.

    Args:
        tables: The sweep, for its points. An axis that does not matter for an arm stands at the
            baseline's level.
        outcomes: Of the trials on a test benchmark.
    """
    frame, names = _levels(tables, outcomes)
    factors = [name for name in names if frame[name].nunique() > 1]
    if len(factors) < 2:
        return None
    terms: list[tuple[str, ...]] = [(name,) for name in factors]
    terms += list(itertools.combinations(factors, 2))
    free = {name: int(frame[name].nunique()) - 1 for name in factors}
    if sum(math.prod(free[name] for name in term) for term in terms) > MOST_PARAMETERS:
        return None
    kept, left_out = _estimable(frame, terms)
    if not any(len(term) > 1 for term in kept):
        return None  # one factor at a time: the axes' own tables say all there is
    shares, p_values, residual, noise = _fit(frame, kept)
    corrected = holm(p_values)
    return Factorial(
        benchmark=outcomes.benchmark,
        terms=tuple(
            Term(axes=term, degrees=_degrees(frame, term), share=share, p_value=p_value)
            for term, share, p_value in zip(kept, shares, corrected, strict=True)
        ),
        not_estimable=tuple(" x ".join(term) for term in left_out),
        aliases=_aliases(frame, factors) if left_out else (),
        residual_degrees=residual,
        noise=noise,
        basis=(
            f"{len(frame)} trials, {frame['seed'].nunique()} seeds as blocks, "
            f"{len(outcomes.pairs):,} pairs; for new seeds on these items; three-way effects count "
            f"as noise; {outcomes.convention}"
        ),
    )


def _levels(tables: SweepTables, outcomes: Outcomes) -> tuple[pd.DataFrame, list[str]]:
    """One row per trial: accuracy, seed, and the level of every axis."""
    points = {row.name: row.point for row in tables.arm_rows}
    home = points.get(str(tables.baseline), {})
    names = list(dict.fromkeys(axis for point in points.values() for axis in point))
    means = np.nanmean(outcomes.values, axis=1) if len(outcomes.trials) else np.zeros(0)
    rows = [
        {"accuracy": means[row], "seed": str(seed)}
        | {name: points.get(arm, {}).get(name, home.get(name, "")) for name in names}
        for row, (arm, seed) in enumerate(outcomes.trials)
    ]
    return pd.DataFrame(rows, columns=["accuracy", "seed", *names]), names


def _degrees(frame: pd.DataFrame, term: tuple[str, ...]) -> int:
    return int(np.prod([frame[name].nunique() - 1 for name in term]))


def _columns(frame: pd.DataFrame, term: tuple[str, ...]) -> Floats:
    """Sum-coded columns of a term, `(trials, degrees)`."""
    made = np.ones((len(frame), 1))
    for name in term:
        dummies = pd.get_dummies(frame[name]).to_numpy(dtype=np.float64)
        coded = dummies[:, :-1] - dummies[:, -1:]
        made = (made[:, :, None] * coded[:, None, :]).reshape(len(frame), -1)
    return made


def _blocks(frame: pd.DataFrame) -> Floats:
    seeds = _columns(frame, ("seed",)) if frame["seed"].nunique() > 1 else np.zeros((len(frame), 0))
    return np.hstack([np.ones((len(frame), 1)), seeds])


def _estimable(
    frame: pd.DataFrame, terms: list[tuple[str, ...]]
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Terms that add all of their degrees to those before them, and the others."""
    design = _blocks(frame)
    rank = np.linalg.matrix_rank(design)
    kept, left_out = [], []
    for term in terms:
        wider = np.hstack([design, _columns(frame, term)])
        now = np.linalg.matrix_rank(wider)
        if now == rank + _degrees(frame, term):
            design, rank = wider, now
            kept.append(term)
        else:
            left_out.append(term)
    return kept, left_out


def _fit(
    frame: pd.DataFrame, terms: list[tuple[str, ...]]
) -> tuple[list[float], list[float | None], int, float | None]:
    """Share of variance and p-value of each term given all others, and what is left as noise."""
    from statsmodels.regression.linear_model import OLS

    answer = frame["accuracy"].to_numpy(dtype=np.float64)
    columns = [_columns(frame, term) for term in terms]
    whole = OLS(answer, np.hstack([_blocks(frame), *columns])).fit()
    residual = int(whole.df_resid)
    total = float(((answer - answer.mean()) ** 2).sum())
    shares, p_values = [], []
    for number in range(len(terms)):
        # An axis is judged beside the interactions it is part of (type III with sum coding).
        others = [made for index, made in enumerate(columns) if index != number]
        without = OLS(answer, np.hstack([_blocks(frame), *others])).fit()
        shares.append(max(0.0, without.ssr - whole.ssr) / total if total > 0 else 0.0)
        testable = residual > 0 and whole.ssr > 1e-12 * max(total, 1e-300)
        p_values.append(float(whole.compare_f_test(without)[1]) if testable else None)
    noise = float(np.sqrt(whole.mse_resid)) if residual > 0 else None
    return shares, p_values, residual, noise


def _aliases(frame: pd.DataFrame, factors: list[str]) -> tuple[str, ...]:
    points = frame[factors].drop_duplicates()
    columns = np.column_stack([pd.factorize(points[name], sort=True)[0] for name in factors])
    sizes = [int(points[name].nunique()) for name in factors]
    return tuple(alias_lines(columns.astype(np.int64), factors, sizes=sizes, strength=1))
