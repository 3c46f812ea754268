"""How the scores of an ensemble's members become one score: the rules, and `Combiner`.

The same functions are used where an ensemble is chosen and where it scores, so that it is worth in
use what it was worth when it was judged. Torch-free. Letters: M members, R responses, I items, N
responses of one item.

Every rule works on a whole item: what several responses to one prompt get is comparable, and a
rule that compares responses (`probability`, `majority`) needs at least two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import numpy as np
from pydantic import Field, PositiveFloat

from infra.frozen import Frozen
from trainer.members.member_scores import (
    Responses,
    RouteBy,
    Weights,
    against_others,
    picked,
    shares,
    spread,
    used,
    weighted,
)
from trainer.members.normalizing import Floats, Normalization


class Rule(Protocol):
    """Combines normalised scores; weights follow the order of the members."""

    @property
    def weights(self) -> Weights:
        """One per member; a member with weight 0 is not needed."""
        ...

    def only(self, rows: Sequence[int]) -> Rule:
        """The rule over some of the members, which must be all that have weight."""
        ...

    def combine(self, scores: Floats, responses: Responses) -> Floats:
        """`(R,)` -- one score per response, from `(M, R)` normalised ones.

        Raises:
            InputError: If the rule compares responses and an item has only one.
        """
        ...


class WeightedSum(Frozen):
    """Weights times scores: averages, weighted votes, greedy selection and stacking."""

    kind: Literal["weighted_sum"] = "weighted_sum"
    weights: Weights

    def only(self, rows: Sequence[int]) -> WeightedSum:
        """Over some of the members."""
        return self.model_copy(update={"weights": picked(self.weights, rows)})

    def combine(self, scores: Floats, responses: Responses) -> Floats:
        """The weighted sum."""
        return weighted(scores, self.weights)


class WorstCase(Frozen):
    """The lowest score any member gives (WCO; Coste et al., arXiv:2310.02743, equation 4)."""

    kind: Literal["worst_case"] = "worst_case"
    weights: Weights
    """Above 0 for members that take part."""

    def only(self, rows: Sequence[int]) -> WorstCase:
        """Over some of the members."""
        return self.model_copy(update={"weights": picked(self.weights, rows)})

    def combine(self, scores: Floats, responses: Responses) -> Floats:
        """The lowest of the members that take part."""
        return np.asarray(scores[used(self.weights)].min(axis=0), dtype=np.float64)


class UncertaintyPenalty(Frozen):
    """Mean minus a multiple of the variance (UWO; Coste et al., equation 5)."""

    kind: Literal["uncertainty_penalty"] = "uncertainty_penalty"
    weights: Weights
    coefficient: Annotated[float, Field(ge=0)]

    def only(self, rows: Sequence[int]) -> UncertaintyPenalty:
        """Over some of the members."""
        return self.model_copy(update={"weights": picked(self.weights, rows)})

    def combine(self, scores: Floats, responses: Responses) -> Floats:
        """Weighted mean minus `coefficient` times the weighted variance between members."""
        return weighted(scores, self.weights) - self.coefficient * spread(scores, self.weights) ** 2


class Probability(Frozen):
    """Mean probability of beating the item's other responses, each member calibrated alone."""

    kind: Literal["probability"] = "probability"
    weights: Weights
    temperatures: tuple[PositiveFloat, ...]
    """Of each member's score differences, fitted on validation pairs."""

    def only(self, rows: Sequence[int]) -> Probability:
        """Over some of the members."""
        return Probability(
            weights=picked(self.weights, rows), temperatures=picked(self.temperatures, rows)
        )

    def combine(self, scores: Floats, responses: Responses) -> Floats:
        """From 0 to 1."""
        units = np.asarray(self.temperatures)[:, None]
        sharp = used(self.weights)
        share = shares(self.weights)

        def beats(differences: Floats) -> Floats:
            chances = 0.5 * (1 + np.tanh(differences / 2))
            return np.asarray(np.einsum("m,m...->...", share, chances), dtype=np.float64)

        return against_others(scores[sharp] / units[sharp], responses, beats, "probability")


class Majority(Frozen):
    """Share of members that prefer a response; a drawn vote follows the mean score."""

    kind: Literal["majority"] = "majority"
    weights: Weights

    def only(self, rows: Sequence[int]) -> Majority:
        """Over some of the members."""
        return self.model_copy(update={"weights": picked(self.weights, rows)})

    def combine(self, scores: Floats, responses: Responses) -> Floats:
        """From 0 to 1."""
        taking_part = scores[used(self.weights)]
        share = shares(self.weights)
        # Half the smallest step a vote can make, so that the mean decides drawn votes only.
        step = 0.25 * share.min()

        def beats(differences: Floats) -> Floats:
            votes = 0.5 * (1 + np.sign(differences))
            mean = np.einsum("m,m...->...", share, differences)
            won = np.einsum("m,m...->...", share, votes) + step * np.tanh(mean)
            return np.asarray(won, dtype=np.float64)

        return against_others(taking_part, responses, beats, "majority")


class Routed(Frozen):
    """Other weights for other kinds of items."""

    kind: Literal["routed"] = "routed"
    by: RouteBy
    routes: dict[str, Weights]
    """Weights by modality, category or source."""
    default: Weights
    """For items of a kind that validation did not show often enough."""

    @property
    def weights(self) -> Weights:
        """The mean of all routes: what a member is needed for at all."""
        every = np.array([*self.routes.values(), self.default])
        return tuple(np.abs(every).mean(axis=0).tolist())

    def only(self, rows: Sequence[int]) -> Routed:
        """Over some of the members."""
        return Routed(
            by=self.by,
            routes={key: picked(weights, rows) for key, weights in self.routes.items()},
            default=picked(self.default, rows),
        )

    def combine(self, scores: Floats, responses: Responses) -> Floats:
        """Every item by the weights of its kind."""
        keys = responses.keys(self.by)
        total = weighted(scores, self.default)
        for key, weights in self.routes.items():
            mine = keys == key
            if mine.any():
                total[mine] = weighted(scores[:, mine], weights)
        return total


AnyRule = Annotated[
    WeightedSum | WorstCase | UncertaintyPenalty | Probability | Majority | Routed,
    Field(discriminator="kind"),
]


class Combiner(Frozen):
    """From raw scores of the members to calibrated scores of the ensemble."""

    normalizations: tuple[Normalization, ...]
    rule: AnyRule
    temperature: PositiveFloat = 1.0
    """What the combined score is divided by, so that a difference of two scores is the log-odds
    that the first response is the better one."""

    def normalized(self, scores: Floats) -> Floats:
        """`(M, R)` -- members' scores on one scale; those that are not needed stay zero."""
        needed = used(self.rule.weights)
        normal = np.zeros(scores.shape)
        for row, normalization in enumerate(self.normalizations):
            if needed[row]:
                normal[row] = normalization.apply(scores[row])
        return normal

    def scores(self, scores: Floats, responses: Responses) -> Floats:
        """`(R,)` -- the ensemble's scores, from `(M, R)` raw ones.

        Raises:
            InputError: If the rule compares responses and an item has only one.
        """
        return self.rule.combine(self.normalized(scores), responses) / self.temperature

    def only(self, rows: Sequence[int]) -> Combiner:
        """Over some of the members, in the order given; the others must have no weight."""
        return Combiner.model_validate(
            {
                "normalizations": tuple(self.normalizations[row] for row in rows),
                "rule": self.rule.only(rows),
                "temperature": self.temperature,
            }
        )

    def calibrated(self, temperature: float) -> Combiner:
        """The same with another temperature."""
        return self.model_copy(update={"temperature": temperature})
