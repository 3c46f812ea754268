"""A critic at evaluation: it writes its own critique of each response, then scores what it read.

All branches of a row grow at once, one token each per step, over one cache that holds the trunk
only once; a branch is scored at the end-of-text token that closes its critique.
Letters: B rows, K branches of the widest row, L tokens of the longest row, N branches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import DynamicCache

from trainer.examples import ModelBatch
from trainer.gang import Gang
from trainer.pooling import GrowingPool
from trainer.reward_model import RewardModel
from trainer.tree_batch import PADDING, TRUNK, TreeBatch


@dataclass(slots=True)
class _Growth:
    """Where every branch stands; one slot per row and branch, used or not."""

    cache: DynamicCache
    visible: torch.Tensor
    """[B, K, keys] which cached tokens a branch may look at."""
    positions: torch.Tensor
    """[B, K] or [C, B, K] of the next tokens."""
    hidden: torch.Tensor
    """[B, K, H] at each branch's last token, to read words from."""
    read: torch.Tensor
    """[B, K, H] the same, to read scores from."""


@torch.no_grad()
def write_critiques(
    model: RewardModel, batch: ModelBatch, gang: Gang, *, always_encode_images: bool = False
) -> tuple[dict[str, torch.Tensor], int]:
    """Scores after greedily written critiques, and how many tokens were written.

    Args:
        model: A critic.
        batch: Branches that end where the critique starts.
        gang: All ranks take as many steps as the slowest, since ZeRO-3 gathers weights each step.
        always_encode_images: As for the model itself.

    Returns:
        `scores` [N], and the tokens written over all branches (end-of-text tokens excluded).
    """
    rows = batch.rows.to(model.device)
    assert model.head is not None
    limit = model.config.critic.max_critique_tokens
    eos = model.backbone.eos_token_id
    slot_rows, slots = rows.rows, rows.members[rows.rows, rows.ends] - 1
    with model.autocast():
        features, _ = model.image_features(batch, always=always_encode_images)
        growth, states = _read(model, rows, features, slot_rows, slots)
        pool = GrowingPool(states, rows, model.config.head.pooling, model.head)
        open_branches = torch.ones_like(rows.rows, dtype=torch.bool)
        written = 0
        for step in range(limit + 1):
            logits = model.backbone.language_head(growth.hidden[slot_rows, slots])
            tokens = logits.argmax(-1) if step < limit else torch.full_like(slots, eos)
            tokens = torch.where(open_branches, tokens, eos)
            _grow(model, growth, tokens, slot_rows, slots)
            pool.add(growth.read[slot_rows, slots], open_branches)
            open_branches = open_branches & (tokens != eos)
            written += int(open_branches.sum().item())
            if not gang.any(bool(open_branches.any().item())):
                break
        return {"scores": model.head(pool.pooled())}, written


def _read(
    model: RewardModel,
    rows: TreeBatch,
    features: object,
    slot_rows: torch.Tensor,
    slots: torch.Tensor,
) -> tuple[_Growth, torch.Tensor]:
    """Run the rows once, filling the cache; also returns the states scores are read from."""
    cache = DynamicCache(config=model.module.config.get_text_config())
    hidden, read = model.states(
        input_ids=rows.input_ids,
        attention_mask=rows.attention_mask,
        position_ids=rows.position_ids,
        features=features,
        placement=rows.placement,
        cache=cache,
    )
    width = int(slots.max().item()) + 1
    members = torch.arange(1, width + 1, device=slots.device)[None, :, None]
    visible = (rows.members[:, None] == TRUNK) | (rows.members[:, None] == members)
    positions = rows.position_ids
    last = positions[..., slot_rows, rows.ends] + 1
    following = positions.new_zeros(*positions.shape[:-1], width)
    following[..., slot_rows, slots] = last
    ends = hidden.new_zeros(hidden.shape[0], width, hidden.shape[2])
    ends[slot_rows, slots] = hidden[slot_rows, rows.ends]
    assert not (visible & (rows.members == PADDING)[:, None]).any()
    return _Growth(cache, visible, following, ends, torch.zeros_like(ends)), read


def _grow(
    model: RewardModel,
    growth: _Growth,
    tokens: torch.Tensor,
    slot_rows: torch.Tensor,
    slots: torch.Tensor,
) -> None:
    """Add one token to every branch."""
    batch, width, _ = growth.visible.shape
    ids = torch.full((batch, width), model.backbone.pad_token_id, device=tokens.device)
    ids[slot_rows, slots] = tokens
    own = torch.eye(width, dtype=torch.bool, device=tokens.device).expand(batch, -1, -1)
    growth.visible = torch.cat([growth.visible, own], dim=2)
    growth.hidden, growth.read = model.states(
        input_ids=ids,
        attention_mask=growth.visible[:, None],
        position_ids=growth.positions,
        cache=growth.cache,
    )
    growth.positions = growth.positions + 1
