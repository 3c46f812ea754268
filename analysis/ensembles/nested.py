"""Nested cross-validation: settings are chosen on inner folds, methods compared on outer ones.

Invariant: no pair is ever predicted by something that saw a pair of its group, nor by members that
were shortlisted on it; comparing methods on the pairs they were fitted to would always choose the
one that fits most. Letters: P pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.ensembles.methods import SINGLE, Fit, Method
from analysis.ensembles.panel import Panel, finite_temperature, group_folds, outcomes
from analysis.statistics.calibration import pair_loss
from analysis.statistics.components import Floats
from analysis.statistics.paired import Comparison, compare
from trainer.members.combining import Combiner

OUTER, INNER = 5, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Pairs that are held out, and the members that are best on the others."""

    held: NDArray[np.bool_]
    """`(P,)`."""
    rest: Panel
    """All members on the pairs that are not held out."""
    seen: Panel
    """The shortlist on these pairs, which are what it was drawn up on."""
    unseen: Panel
    """The shortlist on the held-out pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A method with its settings, learnt from a panel and calibrated on it."""

    setting: str
    combiner: Combiner


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What a method gives on pairs it has not seen."""

    margins: Floats
    """`(P,)` -- calibrated, each from the fold that held it out."""
    right: Floats
    """`(P,)`."""

    @property
    def accuracy(self) -> float:
        """Share of pairs that come out right."""
        return float(self.right.mean())

    @property
    def loss(self) -> float:
        """Mean negative log-likelihood of being right, in nats."""
        return float(pair_loss(self.margins))


def fit_method(
    panel: Panel, method: Method, *, inner: Sequence[Fold] | None = None
) -> Fitted | None:
    """A method fitted to a panel, its settings chosen by inner cross-validation.

    Args:
        panel: What to learn from.
        method: Offers the settings.
        inner: Folds of the same pairs, to choose the settings by; with these members when absent.

    Returns:
        None when the method does not apply to a panel like this.
    """
    fits = method(panel)
    if not fits:
        return None
    chosen = fits[0] if len(fits) == 1 else _best_fit(fits, inner or inner_folds(panel))
    combiner = chosen(panel)
    return Fitted(
        setting=chosen.setting,
        combiner=combiner.calibrated(finite_temperature(panel.combined(combiner))),
    )


def cross_validate(
    panel: Panel, methods: Mapping[str, Method], *, at_most: int | None = None
) -> dict[str, HeldOut]:
    """Every method that applies, judged on groups that neither it nor its settings have seen.

    Args:
        panel: All members there are to choose from.
        methods: By name.
        at_most: Members a method is shown, those best on what a fold does not hold out; all of
            them when absent.
    """
    margins = {name: np.full(panel.pairs, np.nan) for name in methods}
    for fold in folds(panel, OUTER, seed=0, at_most=at_most):
        inner = inner_folds(fold.rest, at_most=at_most)
        for name in list(margins):
            fitted = fit_method(fold.seen, methods[name], inner=inner)
            if fitted is None:
                del margins[name]  # it must apply to every fold to be compared on all pairs
            else:
                margins[name][fold.held] = fold.unseen.combined(fitted.combiner)
    return {
        name: HeldOut(margins=values, right=outcomes(values, panel.convention))
        for name, values in margins.items()
    }


def inner_folds(panel: Panel, *, at_most: int | None = None) -> list[Fold]:
    """The folds that settings are chosen on."""
    return folds(panel, INNER, seed=1, at_most=at_most)


def folds(panel: Panel, count: int, *, seed: int, at_most: int | None = None) -> list[Fold]:
    """Whole groups held out, `count` times, and a shortlist of members drawn up on the rest."""
    fold_of = group_folds(panel, count, seed)
    return [
        _fold(panel, fold_of == fold, at_most=at_most) for fold in range(int(fold_of.max()) + 1)
    ]


def _fold(panel: Panel, held: NDArray[np.bool_], *, at_most: int | None) -> Fold:
    # A single group can only be judged on itself.
    rest = panel if held.all() else panel.only(~held)
    apart = panel.only(held)
    if at_most is None or panel.size <= at_most:
        return Fold(held=held, rest=rest, seen=rest, unseen=apart)
    rows = rest.best_first[:at_most].tolist()
    return Fold(held=held, rest=rest, seen=rest.members(rows), unseen=apart.members(rows))


def pick(held_out: Mapping[str, HeldOut]) -> str:
    """The method most often right on held-out pairs; of equals the lower loss, then the simpler."""
    names = list(held_out)
    return min(
        names,
        key=lambda name: (
            -round(held_out[name].accuracy, 9),
            round(held_out[name].loss, 9),
            names.index(name),
        ),
    )


def against_single(panel: Panel, held_out: Mapping[str, HeldOut], name: str) -> Comparison:
    """A method against the best single member, on held-out pairs."""
    return compare(
        held_out[name].right, held_out[SINGLE].right, panel.groups, convention=panel.convention
    )


def _best_fit(fits: Sequence[Fit], inner: Sequence[Fold]) -> Fit:
    """The fit most often right on held-out pairs; of equals the first."""
    right = [
        sum(
            outcomes(fold.unseen.combined(fit(fold.seen)), fold.seen.convention).sum()
            for fold in inner
        )
        for fit in fits
    ]
    return fits[int(np.argmax(right))]
