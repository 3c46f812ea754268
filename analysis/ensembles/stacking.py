"""Stacking: weights by regularised logistic regression on the members' margins.

The probability that the better response wins is a logistic function of the weighted margins,
without intercept: a swapped pair must give the opposite answer.
"""

from __future__ import annotations

import numpy as np

from analysis.ensembles.panel import Panel
from trainer.members.combining import Combiner, WeightedSum


def stacking(panel: Panel, *, inverse_penalty: float) -> Combiner:
    """Weights of any sign from ridge-penalised logistic regression on z-score margins.

    Args:
        panel: Candidates on validation pairs.
        inverse_penalty: As scikit-learn's `C`, per pair; smaller keeps weights smaller.

    Source:
        Wolpert (1992); van der Laan et al. (2007) for cross-validating the penalty.
    """
    from sklearn.linear_model import LogisticRegression

    margins = panel.z_margins.T
    both = np.concatenate([margins, -margins])
    labels = np.repeat([1, 0], len(margins))
    model = LogisticRegression(C=inverse_penalty, fit_intercept=False, max_iter=500)
    weights = model.fit(both, labels).coef_[0]
    if not np.abs(weights).sum() > 0:
        weights = np.ones(panel.size)
    return Combiner(
        normalizations=panel.z_scores,
        rule=WeightedSum(weights=tuple((weights / np.abs(weights).sum()).tolist())),
    )
