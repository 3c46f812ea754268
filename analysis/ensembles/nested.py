"""Nested cross-validation: settings are chosen on inner folds, methods compared on outer ones.

Invariant: no pair is ever predicted by something that saw a pair of its group; comparing methods on
the pairs they were fitted to would always choose the one that fits most. Letters: P pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.ensembles.calibrating import fit_temperature, pair_loss
from analysis.ensembles.methods import SINGLE, Fit, Method
from analysis.ensembles.panel import Panel, group_folds, outcomes
from analysis.statistics.components import Floats
from analysis.statistics.paired import Comparison, compare
from trainer.members.combining import Combiner

OUTER, INNER = 5, 4

Splits = list[tuple[NDArray[np.bool_], Panel, Panel]]


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


def fit_method(panel: Panel, method: Method, *, inner: Splits | None = None) -> Fitted | None:
    """A method fitted to a panel, its settings chosen by inner cross-validation.

    Args:
        panel: What to learn from.
        method: Offers the settings.
        inner: Parts of the panel to choose the settings by; cut here when absent.

    Returns:
        None when the method does not apply to a panel like this.
    """
    fits = method(panel)
    if not fits:
        return None
    chosen = fits[0] if len(fits) == 1 else _best_fit(fits, inner or splits(panel, INNER, seed=1))
    combiner = chosen(panel)
    return Fitted(
        setting=chosen.setting,
        combiner=combiner.calibrated(fit_temperature(panel.combined(combiner))),
    )


def cross_validate(panel: Panel, methods: Mapping[str, Method]) -> dict[str, HeldOut]:
    """Every method that applies, judged on groups that neither it nor its settings have seen."""
    margins = {name: np.full(panel.pairs, np.nan) for name in methods}
    for held, seen, unseen in splits(panel, OUTER, seed=0):
        inner = splits(seen, INNER, seed=1)
        for name in list(margins):
            fitted = fit_method(seen, methods[name], inner=inner)
            if fitted is None:
                del margins[name]  # it must apply to every fold to be compared on all pairs
            else:
                margins[name][held] = unseen.combined(fitted.combiner)
    return {
        name: HeldOut(margins=values, right=outcomes(values, panel.convention))
        for name, values in margins.items()
    }


def splits(panel: Panel, count: int, *, seed: int) -> Splits:
    """Pairs that are held out, the panel without them, and with them alone, `count` times."""
    folds = group_folds(panel, count, seed)
    if not folds.any():
        return [(folds == 0, panel, panel)]  # a single group can only be judged on itself
    return [
        (folds == fold, panel.only(folds != fold), panel.only(folds == fold))
        for fold in range(int(folds.max()) + 1)
    ]


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


def _best_fit(fits: Sequence[Fit], inner: Splits) -> Fit:
    """The fit most often right on held-out pairs; of equals the first."""
    right = [
        sum(
            outcomes(unseen.combined(fit(seen)), seen.convention).sum() for _, seen, unseen in inner
        )
        for fit in fits
    ]
    return fits[int(np.argmax(right))]
