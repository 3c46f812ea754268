"""Greedy forward selection with replacement (Caruana et al., 2004): sorted start, bagging.

Picks, again and again, the member that helps the ensemble most; how often one is picked is its
weight. Invariant: on the pairs it is given, the result is never worse than the best member alone.
Letters: M members, P pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.ensembles.averages import CHANCE
from analysis.ensembles.panel import Panel, outcomes
from analysis.statistics.components import Floats
from analysis.statistics.paired import Convention
from trainer.members.combining import Combiner, WeightedSum
from trainer.members.member_scores import Weights

ROUNDS = 30
"""Most picks; Caruana et al. see no gain beyond."""
_BLOCK_BYTES = 1 << 20
"""Margins looked at at once: what a core's cache holds, so that each is fetched once per pick."""


def greedy(panel: Panel, *, start: int, bags: int) -> Combiner:
    """Weights from greedy selection on z-scores.

    Args:
        panel: Candidates on validation pairs; those no better than chance are left out.
        start: Begin with the mean of this many best members.
        bags: Average the selections from as many random halves of the candidates, which fits the
            pairs less closely; 0 selects once, from all.
    """
    weights = selected(panel, panel.z_margins, start=start, bags=bags)
    return Combiner(normalizations=panel.z_scores, rule=WeightedSum(weights=weights))


def selected(panel: Panel, margins: Floats, *, start: int, bags: int) -> Weights:
    """As `greedy`, from the panel's `(M, P)` margins on the scale they will be added up on."""
    better = np.flatnonzero(panel.accuracies > CHANCE)
    rows = better if len(better) else panel.best_first[:1]
    weights = np.zeros(panel.size)
    weights[rows] = bagged_weights(
        margins[rows], start=start, bags=bags, convention=panel.convention
    )
    return tuple(weights.tolist())


def bagged_weights(
    margins: Floats,
    *,
    start: int = 1,
    bags: int = 0,
    rounds: int = ROUNDS,
    convention: Convention = "ties are wrong",
) -> Floats:
    """`(M,)` -- mean weights over random halves of the members, from `(M, P)` margins.

    Given up for one selection from all where it would be worse than the best single member.
    """
    plain = greedy_weights(margins, start=start, rounds=rounds, convention=convention)
    if not bags or len(margins) < 4:
        return plain
    generator = np.random.default_rng(0)
    weights = np.zeros(len(margins))
    for _ in range(bags):
        drawn = np.sort(generator.choice(len(margins), size=len(margins) // 2, replace=False))
        weights[drawn] += greedy_weights(
            margins[drawn], start=start, rounds=rounds, convention=convention
        )
    weights /= weights.sum()
    best = float(outcomes(margins, convention).mean(axis=1).max())
    reached = float(outcomes(weights @ margins, convention).mean())
    return weights if reached >= best else plain


def greedy_weights(
    margins: Floats,
    *,
    start: int = 1,
    rounds: int = ROUNDS,
    convention: Convention = "ties are wrong",
) -> Floats:
    """`(M,)` -- share of the picks each member got, from `(M, P)` margins.

    Of candidates that would be right on equally many pairs, the one with the lower log-loss is
    picked, then the earlier. The best ensemble seen on the way is kept.

    Source:
        Caruana et al. (2004), selection with replacement, sorted start.
    """
    count = len(margins)
    nothing = np.zeros(margins.shape[1])
    right = _right_with(margins, nothing, convention)
    # The log-loss is dear, so only members that may come first are asked for it.
    leading = np.flatnonzero(right >= np.sort(right)[-min(start, count)])
    order = leading[np.lexsort((_losses(margins[leading]), -right[leading]))]
    first = order[0]
    counts = np.zeros(count)
    counts[first] = 1
    kept, kept_right = counts.copy(), right[first]
    if start > 1:
        taken = order[: min(start, count, rounds)]
        counts = np.zeros(count)
        counts[taken] = 1
    total = counts @ margins
    picked = int(counts.sum())
    while True:
        reached = float(outcomes(total, convention).sum())
        if reached > kept_right:
            kept, kept_right = counts / picked, reached
        if picked >= rounds:
            return np.asarray(kept / kept.sum(), dtype=np.float64)
        right = _right_with(margins, total, convention)
        equals = np.flatnonzero(right == right.max())
        if len(equals) > 1:
            losses = _losses((total + margins[equals]) / (picked + 1))
            equals = equals[np.lexsort((losses,))]
        counts[equals[0]] += 1
        total = total + margins[equals[0]]
        picked += 1


def _right_with(margins: Floats, total: Floats, convention: Convention) -> Floats:
    """`(M,)` -- pairs that would be right with one more pick of each member.

    `total + m > 0` is `m > -total` exactly, which needs no array of sums.
    """
    threshold = -total
    right = np.empty(len(margins))
    rows = max(1, _BLOCK_BYTES // max(1, margins[:1].nbytes))
    for begin in range(0, len(margins), rows):
        block = margins[begin : begin + rows]
        right[begin : begin + rows] = _counts(block > threshold)
        if convention == "ties count half":
            right[begin : begin + rows] += 0.5 * _counts(block == threshold)
    return right


def _counts(flags: NDArray[np.bool_]) -> Floats:
    # Adding bytes is several times slower than counting the bits of packed ones.
    bits = np.bitwise_count(np.packbits(flags, axis=1))
    return np.asarray(bits.sum(axis=1, dtype=np.float64), dtype=np.float64)


def _losses(margins: Floats) -> Floats:
    # Rounded, since the last bits of a sum depend on how wide the processor adds.
    return np.asarray(np.logaddexp(0.0, -margins).mean(axis=-1).round(12), dtype=np.float64)
