"""Attention over rows laid end to end: no padding is computed and no branch sees another.

Registered with transformers under `NAME`; a `TreeLayout` says where the rows lie. On a processor
each block takes the form that costs least, on an accelerator one block-sparse kernel takes all.
Letters: T tokens of all rows, G rows of a block, L tokens of one of them, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from infra.errors import BackboneError
from trainer.trees.tree_layout import Block, TreeLayout

NAME = "rmsweep_tree"
"""Of the implementation; a model told to use it takes `tree_layout` beside its other inputs."""

ELSEWHERE = ("softcap", "s_aux", "position_bias")
"""Inputs of attention layers whose arithmetic is not the one below."""


def tree_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **settings: Any,  # noqa: ANN401 -- whatever else the model passes on
) -> tuple[torch.Tensor, None]:
    """Attention as `transformers` calls it; SDPA under the given mask when there is no layout.

    Args:
        module: The attention layer.
        query: [1, H, T, D].
        key: [1, H or fewer, T, D].
        value: As the key.
        attention_mask: Unused with a layout.
        settings: `tree_layout`, `scaling`, `dropout`, and what the layer says of itself.

    Returns:
        [1, T, H, D], and no weights.

    Raises:
        BackboneError: If the layer asks for an attention of another kind.
    """
    layout: TreeLayout | None = settings.pop("tree_layout", None)
    if layout is None:
        if attention_mask is not None and not attention_mask.numel():
            raise BackboneError(
                "this backbone does not pass `tree_layout` on to its attention layers, so its rows "
                "cannot be laid end to end; use another backbone"
            )
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
        return output, None
    strange = [name for name in ELSEWHERE if settings.get(name) is not None]
    if strange:
        raise BackboneError(
            f"this backbone's attention takes {', '.join(strange)}, which rows that share a "
            "prompt do not support; use another backbone"
        )
    scale, dropout = settings.get("scaling"), settings.get("dropout", 0.0)
    groups = query.shape[1] // key.shape[1]
    if query.device.type == "cuda":
        return _flexible(query, key, value, layout, scale), None
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    sizes = [block.tokens for block in layout.blocks]
    split = (torch.split(each, sizes, 2) for each in (query, key, value))
    parts = zip(layout.blocks, *split, strict=True)
    outputs = [_attend(block, states, scale=scale, dropout=dropout) for block, *states in parts]
    return torch.cat(outputs)[None], None


AttentionInterface.register(NAME, tree_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def _attend(
    block: Block, states: Sequence[torch.Tensor], *, scale: float | None, dropout: float
) -> torch.Tensor:
    """[tokens, H, D] of a block from query, key and value [1, H, tokens, D]."""
    options: dict[str, Any] = {"scale": scale, "dropout_p": dropout}
    query, key, value = (_as_rows(block, each) for each in states)
    if block.apart:
        output = _apart(block, query, key, value, options)
    elif block.mask is None:
        output = scaled_dot_product_attention(query, key, value, is_causal=True, **options)
    else:
        first, rest = torch.split(query, [block.trunk, query.shape[2] - block.trunk], 2)
        output = scaled_dot_product_attention(rest, key, value, attn_mask=block.mask, **options)
        if block.trunk:
            trunk = scaled_dot_product_attention(
                first,
                key[:, :, : block.trunk],
                value[:, :, : block.trunk],
                is_causal=True,
                **options,
            )
            output = torch.cat([trunk, output], 2)
    flat = output.transpose(1, 2).flatten(0, 1)
    return flat if block.real is None else flat.index_select(0, block.real)


def _as_rows(block: Block, states: torch.Tensor) -> torch.Tensor:
    """[G, H, L, D] from [1, H, tokens, D]."""
    _, heads, _, width = states.shape
    if block.spread is None:
        return states[0].reshape(heads, block.rows, -1, width).transpose(0, 1)
    spread = states[0].transpose(0, 1).index_select(0, block.spread)
    return spread.reshape(block.rows, -1, heads, width).transpose(1, 2)


def _apart(
    block: Block,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    options: dict[str, Any],
) -> torch.Tensor:
    """Every branch as a causal row with the trunk before it; the trunk's outputs are kept once."""
    sizes = [block.trunk, *block.apart]
    trunk, *branches = zip(
        torch.split(query, sizes, 2),
        torch.split(key, sizes, 2),
        torch.split(value, sizes, 2),
        strict=True,
    )
    outputs: list[torch.Tensor] = []
    for branch in branches:
        row = [torch.cat(pair, 2) for pair in zip(trunk, branch, strict=True)]
        output = scaled_dot_product_attention(row[0], row[1], row[2], is_causal=True, **options)
        outputs.append(output if not outputs else output[:, :, block.trunk :])
    return torch.cat(outputs, 2)


def _flexible(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layout: TreeLayout,
    scale: float | None,
) -> torch.Tensor:
    """The same in one call of a block-sparse kernel, [1, T, H, D]."""
    output = _compiled()(
        query, key, value, block_mask=flex_mask(layout), scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )  # fmt: skip
    return torch.as_tensor(output).transpose(1, 2)


@lru_cache(maxsize=2)
def flex_mask(layout: TreeLayout) -> BlockMask:
    """Who may look at whom, as FlexAttention takes it; made once per batch, not per layer."""
    rows, members = layout.rows, layout.members

    def visible(
        batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor
    ) -> torch.Tensor:
        del batch, head
        same_branch = (members[key] == 0) | (members[key] == members[query])
        return (rows[key] == rows[query]) & (key <= query) & same_branch

    total = len(rows)
    return create_block_mask(visible, None, None, total, total, device=str(rows.device))


@lru_cache(maxsize=1)
def _compiled() -> Any:  # noqa: ANN401 -- torch.compile returns what it was given
    return torch.compile(flex_attention, dynamic=True)
