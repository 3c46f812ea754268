"""Floating-point operations a training step cannot do without, for limits beside the ratios.

A token costs two operations per weight it passes, a visible query-key pair four per unit of width;
backward costs twice forward. What is left out (norms, softmax, the optimizer, copies) is why a
measured ratio stays below its limit. Letters: P trunk, R response, L padded length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from trainer.model.backbone import Backbone
from trainer.trees.tree_layout import RowShape


@dataclass(frozen=True, slots=True)
class Costs:
    """Forward operations of one unit of work."""

    token: float
    pair: float
    """Of a query and a key it sees, over all layers."""
    image: float
    language_head: float
    """Per token."""

    @classmethod
    def of(cls, backbone: Backbone, *, image_tokens: int) -> Costs:
        """Counted from the weights; an image's windows are counted as full attention's share."""
        config = backbone.module.config
        text = config.get_text_config()
        parts = backbone.parts()
        embeddings = {id(weight) for weight in _embeddings(backbone.module)}
        weights = sum(w.numel() for w in parts["language_model"] if id(w) not in embeddings)
        pair = 4.0 * backbone.attention_width * text.num_hidden_layers
        image = 0.0
        if parts["vision"]:
            vision = config.vision_config
            patches = image_tokens * vision.spatial_merge_size**2
            window = (vision.window_size // vision.patch_size) ** 2
            full = len(vision.fullatt_block_indexes)
            seen = full * patches**2 + (vision.depth - full) * patches * window
            image = 2.0 * patches * sum(w.numel() for w in parts["vision"])
            image += 4.0 * vision.hidden_size * seen
            image += 2.0 * image_tokens * sum(w.numel() for w in parts["projector"])
        head = 2.0 * text.vocab_size * text.hidden_size
        return cls(2.0 * weights, pair, image, head)

    def ours(
        self, rows: Sequence[RowShape], *, images: int, frozen: bool, shared: bool = True
    ) -> float:
        """One step: no padding, every distinct image once or from the cache.

        Args:
            rows: Of the step.
            images: Distinct ones.
            frozen: Whether the vision tower is, and its features are kept.
            shared: Whether a trunk is read once, or with each of its branches.
        """
        forward = sum(
            self.token
            * (row.tokens if shared else row.trunk * len(row.branches) + sum(row.branches))
            + self.pair * sum(row.trunk * each + each**2 / 2 for each in row.branches)
            + self.pair * (1 if shared else len(row.branches)) * row.trunk**2 / 2
            for row in rows
        )
        return 3 * forward + (0.0 if frozen else 3 * self.image * images)

    def peer(
        self, rows: Sequence[RowShape], *, images: int, frozen: bool, language_head: bool
    ) -> float:
        """One step: every response with its own trunk, padded to the longest, each image twice.

        The loss is of the rewards alone, so a language head has a forward pass and no backward.
        """
        lengths = [row.trunk + each for row in rows for each in row.branches]
        longest = max(lengths)
        forward = len(lengths) * (self.token * longest + self.pair * longest**2 / 2)
        head = self.language_head * len(lengths) * longest if language_head else 0.0
        return 3 * forward + head + (1 if frozen else 3) * 2 * images * self.image


def _embeddings(module: nn.Module) -> list[nn.Parameter]:
    return [
        weight
        for part in module.modules()
        if isinstance(part, nn.Embedding)
        for weight in part.parameters()
    ]
