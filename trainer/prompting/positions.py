"""`PromptPositions`: where tokens stand, asked of the backbone once per shape of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.model.backbone import Backbone
from trainer.model.backbone_inputs import ImageInput
from trainer.prompting.prompts import TreePrompt


class PromptPositions:
    """Positions for one backbone."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._known: dict[tuple[tuple[int, tuple[int, ...], bool], ...], np.ndarray] = {}

    def of(self, prompt: TreePrompt, images: Sequence[ImageInput]) -> np.ndarray:
        """[C, trunk + longest branch], C coordinates: of the trunk and its longest branch."""
        longest = max((branch.tokens for branch in prompt.branches), key=len)
        length = len(prompt.trunk) + len(longest)
        shapes = tuple((image.tokens, image.grid, image.alone) for image in images)
        known = self._known.get(shapes)
        if known is None or known.shape[1] < length:
            # Images come first and only text follows, so rows with images of the same shapes have
            # the same positions as far as both go: one long row serves them all.
            tail = [self._backbone.eos_token_id] * length
            row = [*prompt.trunk, *longest, *tail]
            known = self._backbone.positions([row], [images]).numpy()[..., 0, :]
            known = known if known.ndim == 2 else known[None]
            self._known[shapes] = known
        return known[:, :length]
