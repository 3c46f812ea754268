"""A critic at evaluation: it writes its own critique of each response, then scores what it read.

A branch is scored at the end-of-text token that closes its critique.
"""

from __future__ import annotations

import torch

from trainer.gangs.gang import Gang
from trainer.model.growth import Growth
from trainer.model.pooling import GrowingPool
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import ModelBatch


@torch.no_grad()
def write_critiques(
    model: RewardModel, batch: ModelBatch, gang: Gang, *, always_encode_images: bool = False
) -> tuple[dict[str, torch.Tensor], int]:
    """Scores after greedily written critiques, and how many tokens were written.

    Args:
        model: A critic.
        batch: Branches that end where the critique starts.
        gang: All ranks take as many steps as the slowest.
        always_encode_images: As for the model itself.

    Returns:
        `scores` [N], and the tokens written over all branches (end-of-text tokens excluded).
    """
    assert model.head is not None
    limit = model.config.critic.max_critique_tokens
    eos = model.backbone.eos_token_id
    with model.autocast():
        growth = Growth(model, batch, always_encode_images=always_encode_images)
        pool = GrowingPool(growth.read, growth.rows, model.config.head.pooling, model.head)
        open_branches = torch.ones_like(growth.rows.rows, dtype=torch.bool)
        written = 0
        for step in range(limit + 1):
            tokens = growth.likeliest()
            tokens = torch.where(open_branches & (step < limit), tokens, eos)
            growth.add(tokens)
            pool.add(growth.scores, open_branches)
            open_branches = open_branches & (tokens != eos)
            written += int(open_branches.sum().item())
            if not gang.any(bool(open_branches.any().item())):
                break
        return {"scores": model.head(pool.pooled())}, written
