"""Pooling: every branch from its own tokens alone, whole or while it grows."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from torch.nn import functional

from trainer.head_config import HeadConfig, Pooling
from trainer.model.head import RewardHead
from trainer.model.pooling import GrowingPool, pool
from trainer.trees.tree_batch import Tree, TreeBatch, pad_trees

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
WIDTH = 6


def rows_of(*trees: tuple[int, tuple[int, ...]]) -> TreeBatch:
    """Rows of a trunk and branches of these lengths."""
    return pad_trees(
        [
            Tree(
                trunk=np.zeros(trunk, dtype=np.int64),
                branches=tuple(np.ones(length, dtype=np.int64) for length in branches),
                labelled=(0,) * len(branches),
                positions=np.arange(trunk + max(branches), dtype=np.int64)[None],
            )
            for trunk, branches in trees
        ],
        pad_token_id=0,
    )


def head_of(pooling: Pooling, *, query: float = 2.0) -> RewardHead:
    head = RewardHead(HeadConfig(pooling=pooling), WIDTH, seed=0)
    if head.attention is not None:
        torch.nn.init.normal_(
            head.attention.weight, std=query, generator=torch.Generator().manual_seed(1)
        )
    return head


def spans(rows: TreeBatch) -> list[tuple[int, slice]]:
    ends = zip(rows.rows.tolist(), rows.ends.tolist(), rows.lengths.tolist(), strict=True)
    return [(row, slice(end - length + 1, end + 1)) for row, end, length in ends]


def test_attention_is_a_softmax_over_the_tokens_of_each_branch() -> None:
    rows, head = rows_of((3, (2, 5)), (4, (1, 3))), head_of("attention")
    hidden = torch.randn(2, rows.input_ids.shape[1], WIDTH)
    assert head.attention is not None
    query = head.attention.weight[0]

    pooled = pool(hidden, rows, "attention", head)

    for state, (row, span) in zip(pooled, spans(rows), strict=True):
        own = hidden[row, span]
        weights = functional.softmax(own @ query / WIDTH**0.5, dim=0)
        torch.testing.assert_close(state, weights @ own)


def test_attention_starts_as_the_mean() -> None:
    rows = rows_of((3, (2, 5)), (4, (1, 3)))
    head = RewardHead(HeadConfig(pooling="attention"), WIDTH, seed=0)
    hidden = torch.randn(2, rows.input_ids.shape[1], WIDTH)

    torch.testing.assert_close(
        pool(hidden, rows, "attention", head), pool(hidden, rows, "mean", head)
    )


@pytest.mark.parametrize("pooling", POOLINGS)
def test_nothing_outside_a_branch_reaches_its_state_or_takes_its_gradient(pooling: Pooling) -> None:
    rows, head = rows_of((3, (2, 5)), (4, (1, 3))), head_of(pooling)
    hidden = torch.randn(2, rows.input_ids.shape[1], WIDTH, requires_grad=True)
    row, span = spans(rows)[2]
    elsewhere = hidden.detach() + 1e3
    elsewhere[row, span] = hidden.detach()[row, span]

    state = pool(hidden, rows, pooling, head)[2]
    (gradient,) = torch.autograd.grad(state.sum(), hidden)

    torch.testing.assert_close(pool(elsewhere, rows, pooling, head)[2], state)
    outside = gradient.clone()
    outside[row, span] = 0
    assert not outside.any()
    assert gradient[row, span].any()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_huge_logit_makes_no_infinity(pooling: Pooling) -> None:
    rows, head = rows_of((1, (3, 2))), head_of(pooling, query=1e4)
    hidden = torch.randn(1, rows.input_ids.shape[1], WIDTH)

    growing = GrowingPool(hidden, rows, pooling, head)
    growing.add(1e3 * torch.ones(2, WIDTH), torch.tensor([True, True]))

    assert torch.isfinite(pool(hidden, rows, pooling, head)).all()
    assert torch.isfinite(growing.pooled()).all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_branches_that_grow_end_with_the_states_of_whole_ones(pooling: Pooling) -> None:
    # The first branch grows by three tokens, the second by one, the third by none.
    grown = (3, 1, 0)
    whole, head = rows_of((2, (2 + 3, 4 + 1, 1))), head_of(pooling)
    start = rows_of((2, (2, 4, 1)))
    states = torch.randn(3, 5, WIDTH)
    hidden = torch.randn(1, whole.input_ids.shape[1], WIDTH)
    early = torch.randn(1, start.input_ids.shape[1], WIDTH)
    for branch, (length, more) in enumerate(zip((2, 4, 1), grown, strict=True)):
        hidden[0, spans(whole)[branch][1]] = states[branch, : length + more]
        early[0, spans(start)[branch][1]] = states[branch, :length]

    growing = GrowingPool(early, start, pooling, head)
    for step in range(3):
        still = torch.tensor([step < more for more in grown])
        newest = torch.stack(
            [states[branch, min(length + step, 4)] for branch, length in enumerate((2, 4, 1))]
        )
        growing.add(newest, still)

    torch.testing.assert_close(growing.pooled(), pool(hidden, whole, pooling, head))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_states_are_pooled_in_float32(pooling: Pooling) -> None:
    rows, head = rows_of((1, (3, 2))), head_of(pooling)
    hidden = torch.randn(1, rows.input_ids.shape[1], WIDTH, dtype=torch.bfloat16)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = pool(hidden, rows, pooling, head)

    assert low.dtype is torch.float32
    assert torch.equal(low, pool(hidden.float(), rows, pooling, head))


def test_padding_on_the_left_pools_the_same() -> None:
    rows = rows_of((2, (3,)), (4, (5,)))
    hidden = torch.randn(2, rows.input_ids.shape[1], WIDTH)
    shift = rows.input_ids.shape[1] - 5  # the first row has five tokens

    def moved(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([values[:1].roll(shift, 1), values[1:]])

    ends = rows.ends + torch.tensor([shift, 0])
    left = replace(rows, owners=moved(rows.owners), members=moved(rows.members), ends=ends)

    for pooling in POOLINGS:
        torch.testing.assert_close(
            pool(moved(hidden), left, pooling, head_of(pooling)),
            pool(hidden, rows, pooling, head_of(pooling)),
        )
