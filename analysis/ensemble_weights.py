"""Weights of an ensemble, chosen on validation pairs: plain average or greedy selection.

Arrays in, weights out. Invariant: weights are not negative and sum to one, and greedy selection
is never worse than the best single member on the pairs it was given. Letters: M members, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.components import Floats

Method = Literal["average", "greedy"]
ROUNDS = 30
"""Most picks of greedy selection; a member may be picked again, which is how it gets weight."""
FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Candidate members on the same validation pairs, best first."""

    margins: Floats
    """`(M, P)` -- chosen minus rejected score, each member in its own unit deviation."""
    groups: NDArray[np.object_]
    """`(P,)` -- group of every pair."""

    def only(self, pairs: NDArray[np.bool_]) -> Panel:
        """The same members on some of the pairs, in the order they have there."""
        return Panel(margins=self.margins[:, pairs], groups=self.groups[pairs])


def accuracy(margins: Floats) -> Floats:
    """Share of pairs with a margin above zero, over the last axis; ties are wrong."""
    return np.asarray((margins > 0).mean(axis=-1), dtype=np.float64)


def combined(margins: Floats, weights: Floats) -> Floats:
    """`(P,)` -- margins of the ensemble; members without weight do not matter, even if NaN."""
    used = weights > 0
    return np.asarray(weights[used] @ margins[used], dtype=np.float64)


def best_single(panel: Panel) -> int:
    """The most accurate member; of equals the one with the lower loss, then the earlier."""
    return _best(panel.margins)


def average_weights(panel: Panel, size: int) -> Floats:
    """Equal weights for the `size` most accurate members."""
    order = _order(panel.margins)[:size]
    weights = np.zeros(len(panel.margins))
    weights[order] = 1.0 / len(order)
    return weights


def greedy_weights(panel: Panel, *, rounds: int = ROUNDS, bags: int = 0, seed: int = 0) -> Floats:
    """Weights from picking, again and again, the member that helps the ensemble most.

    Starts with the best single member and keeps the best ensemble seen on the way, so on these
    pairs it is never worse than that member.

    Args:
        panel: Candidates on validation pairs.
        rounds: Picks at most.
        bags: Average the selections from this many random halves of the candidates, which fits
            the pairs less closely; given up where it would be worse than the best single member.
        seed: Of the halves.

    Source:
        Caruana et al. (2004), selection with replacement, sorted start, bagging.
    """
    if bags:
        weights = _bagged(panel, rounds, bags, seed)
        single = float(accuracy(panel.margins[best_single(panel)]))
        if float(accuracy(combined(panel.margins, weights))) >= single:
            return weights
    return _greedy(panel.margins, rounds)


def cross_validated(panel: Panel, size: int, *, bags: int = 0) -> dict[str, float]:
    """Accuracy of `single`, `average` and `greedy` when chosen on four fifths, seen on the rest.

    Folds are made of whole groups. Choosing between methods by the accuracy on the very pairs they
    were fitted to would always choose the one that fits most.
    """
    names = np.unique(panel.groups.astype(str))
    order = np.random.default_rng(0).permutation(len(names))
    fold_of = dict(zip(names[order], np.arange(len(names)) % FOLDS, strict=True))
    folds = np.array([fold_of[str(group)] for group in panel.groups])
    right = {"single": 0.0, "average": 0.0, "greedy": 0.0}
    for fold in range(min(FOLDS, len(names))):
        held = folds == fold
        fitted = panel.only(~held) if (~held).any() else panel
        single = np.zeros(len(panel.margins))
        single[best_single(fitted)] = 1.0
        for name, weights in (
            ("single", single),
            ("average", average_weights(fitted, size)),
            ("greedy", greedy_weights(fitted, bags=bags)),
        ):
            right[name] += float((combined(panel.margins[:, held], weights) > 0).sum())
    return {name: count / panel.margins.shape[1] for name, count in right.items()}


def _greedy(margins: Floats, rounds: int) -> Floats:
    first = _best(margins)
    counts = np.zeros(len(margins))
    counts[first] = 1
    total = margins[first].copy()
    kept, kept_accuracy = counts / 1, float(accuracy(total))
    for picked in range(2, rounds + 1):
        following = _best((total + margins) / picked)
        counts[following] += 1
        total += margins[following]
        weights = counts / picked
        reached = float(accuracy(combined(margins, weights)))
        if reached > kept_accuracy:
            kept, kept_accuracy = weights, reached
    return np.asarray(kept, dtype=np.float64)


def _bagged(panel: Panel, rounds: int, bags: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    members = len(panel.margins)
    weights = np.zeros(members)
    for _ in range(bags):
        drawn = np.sort(generator.choice(members, size=max(1, members // 2), replace=False))
        weights[drawn] += _greedy(panel.margins[drawn], rounds)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _best(margins: Floats) -> int:
    return int(_order(margins)[0])


def _order(margins: Floats) -> NDArray[np.int64]:
    losses = np.logaddexp(0.0, -margins).mean(axis=-1)
    return np.asarray(np.lexsort((losses, -accuracy(margins))), dtype=np.int64)
