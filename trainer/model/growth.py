"""`Growth`: the branches of a batch written on side by side, one token each per step.

All branches of a row share one cache that holds the trunk only once. Every rank takes as many steps
as the slowest, since ZeRO-3 gathers the weights at each.
Letters: B rows, K branches of the widest row, L tokens of the longest row, N branches.
"""

from __future__ import annotations

import torch
from transformers import DynamicCache

from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import ModelBatch
from trainer.trees.tree_batch import PADDING, TRUNK


class Growth:
    """Where every branch stands; one slot per row and branch, used or not."""

    def __init__(
        self, model: RewardModel, batch: ModelBatch, *, always_encode_images: bool = False
    ) -> None:
        """Reads the rows once, filling the cache. The caller has entered `model.autocast()`."""
        self._model = model
        self.rows = rows = batch.rows.to(model.device)
        self._cache = DynamicCache(config=model.module.config.get_text_config())
        self._at = rows.rows, rows.members[rows.rows, rows.ends] - 1
        begun = model(batch, always_encode_images=always_encode_images, grow_into=self._cache)
        hidden, self.read = begun["words"], begun["scores"]
        """[B, L, H] states of the rows that scores are read from."""
        width = int(self._at[1].max().item()) + 1
        members = torch.arange(1, width + 1, device=model.device)[None, :, None]
        self._visible = (rows.members[:, None] == TRUNK) | (rows.members[:, None] == members)
        assert not (self._visible & (rows.members == PADDING)[:, None]).any()
        positions = rows.position_ids
        self._positions = positions.new_zeros(*positions.shape[:-1], width)
        self._positions[..., self._at[0], self._at[1]] = positions[..., rows.rows, rows.ends] + 1
        self.words = hidden[rows.rows, rows.ends]
        """[N, H] state of each branch's newest token that words are read from."""
        self.scores = self.read[rows.rows, rows.ends]
        """[N, H] the same, that scores are read from."""

    def likeliest(self) -> torch.Tensor:
        """The likeliest next token of every branch [N]."""
        return self._model.backbone.language_head(self.words).argmax(-1)

    def add(self, tokens: torch.Tensor) -> None:
        """Write one more token [N] on every branch."""
        batch, width, _ = self._visible.shape
        ids = torch.full((batch, width), self._model.backbone.pad_token_id, device=tokens.device)
        ids[self._at] = tokens
        own = torch.eye(width, dtype=torch.bool, device=tokens.device).expand(batch, -1, -1)
        self._visible = torch.cat([self._visible, own], dim=2)
        hidden, read = self._model.states(
            input_ids=ids,
            attention_mask=self._visible[:, None],
            position_ids=self._positions,
            cache=self._cache,
        )
        self._positions = self._positions + 1
        self.words, self.scores = hidden[self._at], read[self._at]
