"""Routing: other weights for other kinds of items, such as a text model for text.

BaseReward adds a text-only model for text prompts (Table 7, last row) by hand; here validation
decides, kind by kind, and a kind it shows too rarely is left to the weights for all.
"""

from __future__ import annotations

import numpy as np

from analysis.ensembles.averages import equal
from analysis.ensembles.greedy import selected
from analysis.ensembles.panel import Panel
from trainer.members.combining import Combiner, Routed
from trainer.members.member_scores import RouteBy, Weights

FEWEST_GROUPS = 20
"""Groups of a kind on validation before it gets weights of its own."""


def routing(panel: Panel, *, by: RouteBy, size: int) -> Combiner:
    """Weights for every kind of item, of the members that are best on that kind.

    Args:
        panel: Candidates on validation pairs.
        by: What tells the kinds apart.
        size: Members averaged per kind; 0 lets greedy selection choose them.
    """

    def weights(part: Panel) -> Weights:
        if size:
            return equal(part, size)
        # A kind's own unit may be another than that of all items, by which scores are added up.
        scales = zip(panel.z_scores, part.scores, strict=True)
        normal = np.array([scale.apply(scores) for scale, scores in scales])
        return selected(part, part.margins(normal), start=1, bags=0)

    routes = {
        key: weights(panel.only(mine))
        for key, mine in kinds(panel, by).items()
        if len(np.unique(panel.groups[mine])) >= FEWEST_GROUPS
    }
    return Combiner(
        normalizations=panel.z_scores,
        rule=Routed(by=by, routes=routes, default=weights(panel)),
    )


def kinds(panel: Panel, by: RouteBy) -> dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Pairs of every kind, by its name."""
    keys = panel.responses.keys(by)[panel.chosen]
    return {str(key): keys == key for key in dict.fromkeys(keys)}
