"""From hidden states to one state per branch, in float32, whatever the backbone computes in.

Only a branch's own tokens take part: never padding, the trunk or another branch, so a score depends
on nothing but its image, prompt and response. `pool` reads whole rows; `GrowingPool` takes the
tokens of branches that are still being written, one by one, and ends with the same states.
Letters: B rows, L tokens, H hidden size, N branches.
"""

from __future__ import annotations

import torch

from trainer.head_config import Pooling
from trainer.model.head import RewardHead
from trainer.trees.tree_batch import TreeBatch


def pool(hidden: torch.Tensor, rows: TreeBatch, pooling: Pooling, head: RewardHead) -> torch.Tensor:
    """One state per branch [N, H].

    Args:
        hidden: [B, L, H].
        rows: Says where the branches lie.
        pooling: The last token, the mean, or the mean weighed by the head's attention.
        head: Holds the attention.
    """
    if pooling == "last":
        return hidden[rows.rows, rows.ends].float()
    flat, owners = hidden.float().flatten(0, 1), rows.owners.flatten()
    if pooling == "mean":
        return _by_owner(flat, owners, rows.num_branches) / rows.lengths[:, None]
    weights, _ = _attention(flat, rows, head)
    totals = _by_owner(weights, owners, rows.num_branches)
    return _by_owner(weights * flat, owners, rows.num_branches) / totals


class GrowingPool:
    """The pooled states of branches that grow by one token at a time."""

    def __init__(
        self, hidden: torch.Tensor, rows: TreeBatch, pooling: Pooling, head: RewardHead
    ) -> None:
        self._pooling = pooling
        self._head = head
        self._sums = pool(hidden, rows, pooling, head)
        self._weights = rows.lengths.float()
        self._highest = torch.zeros_like(self._weights)
        if pooling == "attention":
            self._start_attention(hidden, rows)
        elif pooling == "mean":
            self._sums = self._sums * self._weights[:, None]

    def add(self, states: torch.Tensor, grown: torch.Tensor) -> None:
        """One more token of some branches.

        Args:
            states: [N, H] of every branch's newest token.
            grown: [N] which branches have one.
        """
        states = states.float()
        if self._pooling == "last":
            self._sums = torch.where(grown[:, None], states, self._sums)
            return
        weights = grown.float()
        if self._pooling == "attention":
            logits = self._head.attend(states).masked_fill(~grown, -torch.inf)
            highest = torch.maximum(self._highest, logits)
            shrink = (self._highest - highest).exp()
            weights = (logits - highest).exp()
            self._sums, self._weights = self._sums * shrink[:, None], self._weights * shrink
            self._highest = highest
        self._sums = self._sums + torch.where(grown[:, None], weights[:, None] * states, 0.0)
        self._weights = self._weights + weights

    def pooled(self) -> torch.Tensor:
        """[N, H] as the branches stand."""
        return self._sums if self._pooling == "last" else self._sums / self._weights[:, None]

    def _start_attention(self, hidden: torch.Tensor, rows: TreeBatch) -> None:
        weights, highest = _attention(hidden.float().flatten(0, 1), rows, self._head)
        self._highest = highest
        self._weights = _by_owner(weights, rows.owners.flatten(), rows.num_branches)[:, 0]
        self._sums = self._sums * self._weights[:, None]


def _attention(
    flat: torch.Tensor, rows: TreeBatch, head: RewardHead
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unnormalised weights [B * L, 1], and the highest logit of every branch [N]."""
    logits, owners = head.attend(flat), rows.owners.flatten()
    # Outside the branches lies one group more, whose sums are thrown away.
    highest = logits.new_full((rows.num_branches + 1,), -torch.inf)
    highest = highest.scatter_reduce(0, owners, logits.detach(), "amax")
    return (logits - highest[owners]).exp()[:, None], highest[:-1]


def _by_owner(values: torch.Tensor, owners: torch.Tensor, count: int) -> torch.Tensor:
    sums = values.new_zeros(count + 1, values.shape[1])
    return sums.index_add(0, owners, values)[:-1]
