"""Every form a block can take against one softmax under one mask, forward and backward."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from infra.errors import BackboneError
from tests.trainer.model.test_reward_model import config_of, examples_of, items_for
from tests.trainer.tiny_models import tiny_backbone
from trainer.model.reward_model import RewardModel
from trainer.trees.tree_attention import flex_mask, tree_attention
from trainer.trees.tree_layout import RowShape, TreeLayout, lay_out, row_order

HEADS, WIDTH = 2, 4

shapes = st.lists(
    st.builds(
        RowShape,
        st.integers(1, 9),
        st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=6,
).map(lambda rows: [rows[index] for index in row_order(rows)])


def states(layout: TreeLayout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (1, HEADS, len(layout.rows), WIDTH)
    query, key, value = torch.randn(3, *shape, generator=generator).unbind()
    return query.requires_grad_(), key.requires_grad_(), value.requires_grad_()


def whole_mask(layout: TreeLayout) -> torch.Tensor:
    """The mask of the whole batch that no block ever makes."""
    rows, members = layout.rows, layout.members
    before = torch.ones(len(rows), len(rows), dtype=torch.bool).tril()
    branch = (members == 0) | (members == members[:, None])
    return (rows == rows[:, None]) & branch & before


@settings(max_examples=40)
@given(shapes, st.sampled_from([1, 2_000, 1_000_000]))
def test_blocks_give_what_one_mask_over_everything_gives(rows: list[RowShape], width: int) -> None:
    layout = lay_out(rows, width=width)
    inputs = states(layout)
    weights = torch.randn(1, len(layout.rows), HEADS, WIDTH)

    output, _ = tree_attention(nn.Identity(), *inputs, None, tree_layout=layout)
    found = torch.autograd.grad((output * weights).sum(), inputs)
    whole = scaled_dot_product_attention(*inputs, attn_mask=whole_mask(layout)).transpose(1, 2)
    expected = torch.autograd.grad((whole * weights).sum(), inputs)

    torch.testing.assert_close(output, whole, atol=1e-5, rtol=0)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert sum(block.tokens for block in layout.blocks) == sum(row.tokens for row in rows)


def test_the_form_follows_the_shape() -> None:
    def form(trunk: int, *branches: int) -> str:
        (block,) = lay_out([RowShape(trunk, branches)] * 2, width=1_000_000).blocks
        if block.apart:
            return "apart"
        return "causal" if block.mask is None else "trunk, then branches"

    assert form(200, 60, 60) == "trunk, then branches"
    assert form(20, 300, 300) == "apart"
    assert form(200, 60) == "causal"
    mixed = [RowShape(9, (8, 7)), RowShape(9, (7, 7)), RowShape(8, (5, 4))]
    assert len(lay_out(mixed, width=64).blocks) == 1
    assert len(lay_out(mixed, width=1_000_000).blocks) == 3


# Uncompiled it is slow, and says so; compiled it has no backward on a processor.
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@settings(max_examples=15)
@given(shapes)
def test_flexible_attention_sees_the_same(rows: list[RowShape]) -> None:
    layout = lay_out(rows, width=64)
    inputs = [each.detach() for each in states(layout)]

    with torch.no_grad():
        output = flex_attention(inputs[0], inputs[1], inputs[2], block_mask=flex_mask(layout))

    expected = scaled_dot_product_attention(
        inputs[0], inputs[1], inputs[2], attn_mask=whole_mask(layout)
    )
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_rewards_and_gradients_on_an_accelerator_are_those_of_the_processor() -> None:
    found = []
    for device in ("cpu", "cuda"):
        backbone = tiny_backbone("qwen2_5_vl")
        model = RewardModel(backbone, config_of("scalar")).to(device)
        examples = examples_of(backbone, items_for(backbone), "scalar")
        scores = model(examples.batch(range(4)))["scores"]
        scores.sum().backward()
        norm = sum(
            float(weight.grad.double().square().sum())
            for weight in model.parameters()
            if weight.grad is not None
        )
        found.append((scores.detach().cpu(), norm))

    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-4, rtol=1e-4)
    assert found[1][1] == pytest.approx(found[0][1], rel=1e-3)


def test_a_model_that_loses_the_layout_is_refused_rather_than_wrong() -> None:
    backbone = tiny_backbone("llama")
    examples = examples_of(backbone, items_for(backbone), "scalar")
    rows = examples.batch(range(4)).rows

    backbone.module.set_attn_implementation("rmsweep_tree")
    with pytest.raises(BackboneError, match="cannot be laid end to end; use another"):
        backbone.module.base_model(
            input_ids=rows.input_ids,
            attention_mask=rows.attention_mask,
            position_ids=rows.position_ids,
        )


def test_an_attention_of_another_kind_is_refused() -> None:
    layout = lay_out([RowShape(2, (2, 2))], width=64)

    with pytest.raises(BackboneError, match="softcap"):
        tree_attention(nn.Identity(), *states(layout), None, tree_layout=layout, softcap=30.0)


def test_separate_rows_and_shared_rows_score_alike() -> None:
    backbone = tiny_backbone("qwen3_vl")
    model = RewardModel(backbone, config_of("scalar")).eval()
    items = items_for(backbone)
    shared = examples_of(backbone, items, "scalar")
    apart = examples_of(backbone, items, "scalar", share_prompts="never")

    with torch.no_grad():
        first = model(shared.batch(range(4)))
        second = model(apart.batch(range(4)))

    torch.testing.assert_close(first["scores"], second["scores"], atol=1e-5, rtol=0)
    layout = apart.batch(range(4)).rows.layout
    assert layout is not None
    assert int(layout.members.max()) == 1


def test_a_layout_moves_whole() -> None:
    layout = lay_out([RowShape(3, (2, 2)), RowShape(2, (1, 1))], width=64)

    moved = layout.to(torch.device("meta"))

    tensors = [moved.rows, moved.members, *(block.mask for block in moved.blocks)]
    assert all(tensor is None or tensor.is_meta for tensor in tensors)
    assert replace(moved.blocks[0], mask=None, spread=None, real=None).tokens > 0
