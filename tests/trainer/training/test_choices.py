"""What a ranking asks of the scores, and that every item counts by its weight."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from trainer.data.items import PreferenceItem, Response
from trainer.strategy_config import RankingLoss, StrategyConfig
from trainer.training.choices import compare, ranked_choices, teaches, tied_pairs

LOSSES: tuple[RankingLoss, ...] = get_args(RankingLoss)


def item_of(*ranks: int, weight: float = 1.0) -> PreferenceItem:
    responses = tuple(Response(text=f"r{index}", rank=rank) for index, rank in enumerate(ranks))
    return PreferenceItem(
        item_id="i", group_id="g", prompt="p", responses=responses, label_weight=weight
    )


def test_the_whole_order_is_each_response_against_those_below_it() -> None:
    assert ranked_choices(item_of(3, 1, 2), "plackett_luce") == [(1, 0, 2), (2, 0)]


def test_a_classification_is_the_best_against_all_others() -> None:
    assert ranked_choices(item_of(3, 1, 2), "cross_entropy") == [(1, 0, 2)]


def test_pairs_are_all_pairs_that_do_not_tie() -> None:
    assert ranked_choices(item_of(2, 1, 2), "bradley_terry") == [(1, 0), (1, 2)]


def test_tied_responses_never_meet_in_a_list() -> None:
    assert ranked_choices(item_of(1, 1, 2, 2), "plackett_luce") == [(0, 2, 3), (1, 2, 3)]
    assert ranked_choices(item_of(1, 1), "cross_entropy") == []
    assert tied_pairs(item_of(1, 1, 2, 2)) == [(0, 1), (2, 3)]


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 4), min_size=2, max_size=5), st.floats(0.1, 9, allow_nan=False)
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(LOSSES),
    st.booleans(),
)
def test_every_item_that_teaches_counts_by_its_weight(
    drawn: list[tuple[list[int], float]], loss: RankingLoss, ties: bool
) -> None:
    items = [item_of(*ranks, weight=weight) for ranks, weight in drawn]
    strategy = StrategyConfig(ties="square" if ties else "drop")

    compared = compare(items, loss, ties=ties)

    total = sum(compared.shares) + sum(compared.tie_shares)
    taught = sum(item.label_weight for item in items if teaches(item, strategy))
    assert abs(total - taught) < 1e-9 * max(1, taught)
    names = [response.rank for item in items for response in item.responses]
    assert all(names[first] < min(names[i] for i in rest) for first, *rest in compared.choices)
    assert all(names[first] == names[second] for first, second in compared.ties)


@given(st.lists(st.integers(1, 3), min_size=2, max_size=2), st.sampled_from(LOSSES))
def test_of_two_responses_every_loss_sees_the_same(ranks: list[int], loss: RankingLoss) -> None:
    assert ranked_choices(item_of(*ranks), loss) == ranked_choices(item_of(*ranks), "bradley_terry")
