"""`Panel`: the scores several models gave to the same responses, and which pairs they decide.

Invariant: members, responses and pairs are complete; nothing in a panel is missing or NaN. Letters:
M members, R responses, P pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.calibration import fit_temperature, pair_loss
from analysis.statistics.components import Floats
from analysis.statistics.paired import Convention
from trainer.members.combining import Combiner
from trainer.members.member_scores import Ints, Responses
from trainer.members.normalizing import Normalization, rank, z_score

RESPONSE_KEY = ["item_id", "response"]
_FLAT = 1e5
"""Of the margins' own scale: divided by it, a margin says 50 %."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """Models side by side; what methods have in common is computed once."""

    names: tuple[str, ...]
    scores: Floats
    """`(M, R)` -- raw scores, as the models give them."""
    responses: Responses
    chosen: Ints
    """`(P,)` -- place of each pair's better response among the responses."""
    rejected: Ints
    """`(P,)` -- place of its other response."""
    groups: Ints
    """`(P,)` -- number of each pair's group; pairs of a group are not independent."""
    group_names: tuple[str, ...]
    convention: Convention = "ties are wrong"

    @property
    def size(self) -> int:
        """Members."""
        return len(self.names)

    @property
    def pairs(self) -> int:
        """Pairs."""
        return len(self.groups)

    def margins(self, scores: Floats) -> Floats:
        """`(..., P)` -- score of the better minus score of the other response, from `(..., R)`."""
        return np.asarray(scores[..., self.chosen] - scores[..., self.rejected], dtype=np.float64)

    def right(self, scores: Floats) -> Floats:
        """`(..., P)` -- 1 where the better response scores higher, as the convention counts."""
        return outcomes(self.margins(scores), self.convention)

    @cached_property
    def accuracies(self) -> Floats:
        """`(M,)` -- of every member alone."""
        return np.asarray(self.right(self.scores).mean(axis=1), dtype=np.float64)

    @cached_property
    def best_first(self) -> Ints:
        """`(M,)` -- members by accuracy; of equals the one with the lower loss, then the earlier.

        The loss is of margins in the member's own unit, so that large scores do not decide.
        """
        margins = self.margins(self.scores)
        unit = margins.std(axis=1, keepdims=True)
        losses = pair_loss(margins / np.where(unit > 0, unit, 1.0))
        return np.asarray(np.lexsort((losses, -self.accuracies)), dtype=np.int64)

    @cached_property
    def z_scores(self) -> tuple[Normalization, ...]:
        """Every member's z-normalisation by these responses; none where it scores all alike."""
        return tuple(z_score(row) for row in self.scores)

    @cached_property
    def ranks(self) -> tuple[Normalization, ...]:
        """Every member's rank normalisation by these responses, likewise."""
        return tuple(rank(row) for row in self.scores)

    @cached_property
    def z_margins(self) -> Floats:
        """`(M, P)` -- margins of the z-scores."""
        normal = [one.apply(row) for one, row in zip(self.z_scores, self.scores, strict=True)]
        return self.margins(np.array(normal))

    @cached_property
    def temperatures(self) -> tuple[float, ...]:
        """Every member's temperature, fitted alone."""
        return tuple(finite_temperature(row) for row in self.margins(self.scores))

    def combined(self, combiner: Combiner) -> Floats:
        """`(P,)` -- margins of an ensemble, in units of its temperature."""
        return self.margins(combiner.scores(self.scores, self.responses))

    def only(self, pairs: NDArray[np.bool_]) -> Panel:
        """The same members on the items of some pairs; pairs of an item go together."""
        items = np.zeros(int(self.responses.items.max()) + 1, dtype=bool)
        items[self.responses.items[self.chosen[pairs]]] = True
        kept = items[self.responses.items]
        place = np.cumsum(kept) - 1
        mine = kept[self.chosen]
        return Panel(
            names=self.names,
            scores=self.scores[:, kept],
            responses=self.responses.only(kept),
            chosen=place[self.chosen[mine]],
            rejected=place[self.rejected[mine]],
            groups=self.groups[mine],
            group_names=self.group_names,
            convention=self.convention,
        )

    def members(self, rows: Sequence[int]) -> Panel:
        """Some of the members, in the order given."""
        return Panel(
            names=tuple(self.names[row] for row in rows),
            scores=self.scores[list(rows)],
            responses=self.responses,
            chosen=self.chosen,
            rejected=self.rejected,
            groups=self.groups,
            group_names=self.group_names,
            convention=self.convention,
        )


def finite_temperature(margins: Floats) -> float:
    """As `fit_temperature`, but never infinite: scores divided by it keep their order."""
    fitted = fit_temperature(margins)
    return fitted if np.isfinite(fitted) else _FLAT * (float(np.abs(margins).mean()) or 1.0)


def outcomes(margins: Floats, convention: Convention) -> Floats:
    """1 where a margin is above zero, 0 below; an exact tie by convention."""
    right = (margins > 0).astype(np.float64)
    if convention == "ties count half":
        right += 0.5 * (margins == 0)
    return right


def make_panel(
    frames: Mapping[str, pd.DataFrame], *, convention: Convention = "ties are wrong"
) -> Panel:
    """A panel from one table per member, each with one row per response.

    Items of a single response decide no pair and are left out: some rules compare responses.

    Args:
        frames: By member: columns item_id, response, rank, score, group_id, category, source and
            modality; all have the same responses, in any order.
        convention: How ties count.

    Raises:
        ValueError: If the members' responses differ.
    """
    ordered = {
        name: frame.sort_values(RESPONSE_KEY, kind="stable").reset_index(drop=True)
        for name, frame in frames.items()
    }
    first = next(iter(ordered.values()))
    for name, frame in ordered.items():
        if not frame[RESPONSE_KEY].equals(first[RESPONSE_KEY]):
            raise ValueError(f"member {name} was scored on other responses than the first member")
    compared = first["item_id"].duplicated(keep=False)
    if not compared.all():
        ordered = {n: frame[compared].reset_index(drop=True) for n, frame in ordered.items()}
        first = next(iter(ordered.values()))
    items = pd.factorize(first["item_id"])[0].astype(np.int64)
    chosen, rejected = _pairs(items, first["rank"].to_numpy())
    group_codes, group_names = pd.factorize(first["group_id"].iloc[chosen])
    return Panel(
        names=tuple(ordered),
        scores=np.array([frame["score"].to_numpy(dtype=np.float64) for frame in ordered.values()]),
        responses=Responses(
            items=items,
            modality=first["modality"].to_numpy(dtype=object),
            category=first["category"].to_numpy(dtype=object),
            source=first["source"].to_numpy(dtype=object),
        ),
        chosen=chosen,
        rejected=rejected,
        groups=group_codes.astype(np.int64),
        group_names=tuple(map(str, group_names)),
        convention=convention,
    )


def _pairs(items: Ints, ranks: NDArray[np.int64]) -> tuple[Ints, Ints]:
    """Places of the better and the other response of every pair of different ranks."""
    place = pd.DataFrame({"item": items, "rank": ranks, "place": np.arange(len(items))})
    pairs = place.merge(place, on="item", suffixes=("", "_other"))
    pairs = pairs[pairs["rank"] < pairs["rank_other"]]
    return (
        pairs["place"].to_numpy(dtype=np.int64),
        pairs["place_other"].to_numpy(dtype=np.int64),
    )


def group_folds(panel: Panel, count: int, seed: int) -> Ints:
    """`(P,)` -- fold of every pair, whole groups together; fewer folds when there are few groups.

    Items with no group in common may still share an item number only with themselves, so an item
    never straddles folds either.
    """
    present = np.unique(panel.groups)
    order = np.random.default_rng(seed).permutation(len(present))
    fold_of = np.zeros(int(panel.groups.max(initial=0)) + 1, dtype=np.int64)
    fold_of[present[order]] = np.arange(len(present)) % min(count, len(present))
    return fold_of[panel.groups]
