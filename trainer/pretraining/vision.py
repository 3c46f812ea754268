"""Stage A: every image token learns to say, in the language model's own words, what its cell holds.

The classes are the token embeddings of the words that name them, so that features arrive where the
words already are, and a word can find its cells by mere likeness. Two further heads, thrown away
afterwards, ask each token for its row and column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from trainer.data.scenes import COLOURS, GRID, SHAPES
from trainer.data.wording import number_word
from trainer.model.backbone import Backbone
from trainer.model.backbone_inputs import ImageInput, VisionFeatures
from trainer.pretraining.pace import Pace
from trainer.pretraining.pictures import Picture

BATCH_SCENES = 40
BATCH_DIGITS = 24
_ENCODED_AT_ONCE = 128
_SURE = 10.0
"""Logit of a word for features that equal its embedding."""


def train_vision(
    backbone: Backbone,
    scenes: Sequence[Picture],
    digits: Sequence[Picture],
    pace: Pace,
) -> None:
    """Trains the vision tower and the projector in place."""
    torch.manual_seed(pace.seed)
    lesson = _Lesson(backbone)
    parts = backbone.parts()
    trained = [*parts["vision"], *parts["projector"], *lesson.places.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, pace.learning_rate_factor)
    rng = np.random.default_rng(pace.seed)
    for step in pace.walk():
        batch = [scenes[i] for i in rng.integers(len(scenes), size=BATCH_SCENES)]
        batch += [digits[i] for i in rng.integers(len(digits), size=BATCH_DIGITS)]
        loss, accuracy = lesson.loss(encode_pictures(backbone, batch, gradients=True), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        pace.report(step, loss.item(), accuracy)


def encode_pictures(
    backbone: Backbone, pictures: Sequence[Picture], *, gradients: bool = False
) -> torch.Tensor:
    """Features [pictures, cells, hidden] of pictures that all take as many tokens."""
    with torch.set_grad_enabled(gradients):
        parts: list[VisionFeatures] = []
        for start in range(0, len(pictures), _ENCODED_AT_ONCE):
            chunk = pictures[start : start + _ENCODED_AT_ONCE]
            inputs: list[ImageInput] = [backbone.image_tokens(picture.image) for picture in chunk]
            parts.append(backbone.vision_features(inputs))
        return torch.stack([block for part in parts for block in part.tokens])


class _Lesson:
    """What features should say, and how far they are from it."""

    def __init__(self, backbone: Backbone) -> None:
        self._shapes = _embeddings(backbone, SHAPES)
        self._colours = _embeddings(backbone, COLOURS)
        self._digits = _embeddings(backbone, [number_word(digit) for digit in range(10)])
        self.places = nn.Linear(backbone.hidden_size, 2 * GRID)

    def loss(self, features: torch.Tensor, batch: Sequence[Picture]) -> tuple[torch.Tensor, str]:
        """Cross-entropy of all that is asked, and the share right of each."""
        scenes = [index for index, picture in enumerate(batch) if picture.cells]
        digits = [index for index, picture in enumerate(batch) if picture.digit is not None]
        cells = torch.tensor([batch[index].cells for index in scenes])
        digit_labels = torch.tensor([batch[index].digit for index in digits])
        numbers = torch.arange(GRID * GRID).expand(len(batch), -1)
        row, column = self.places(features).split(GRID, dim=-1)
        asked = {
            "shape": (_or_nothing(features[scenes] @ self._shapes), cells[..., 0], 1.0),
            "colour": (_or_nothing(features[scenes] @ self._colours), cells[..., 1], 1.0),
            "digit": ((features[digits] @ self._digits).mean(dim=1), digit_labels, 1.0),
            # Where a cell is matters less than what it holds, and not every tower can know it.
            "row": (row, numbers // GRID, 0.2),
            "column": (column, numbers % GRID, 0.2),
        }
        total = torch.zeros(())
        shares = []
        for name, (logits, labels, weight) in asked.items():
            flat, wanted = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
            total = total + weight * functional.cross_entropy(flat, wanted)
            shares.append(f"{name} {(flat.argmax(-1) == wanted).float().mean().item():.2f}")
        return total, " ".join(shares)


def _embeddings(backbone: Backbone, words: Sequence[str]) -> torch.Tensor:
    """Classes [hidden, words]: each word's token embeddings, averaged."""
    table = backbone.module.get_input_embeddings().weight.detach()
    rows = [table[backbone.encode_text(f" {word}")].mean(dim=0) for word in words]
    return torch.stack(rows, dim=1) * (_SURE / backbone.hidden_size)


def _or_nothing(logits: torch.Tensor) -> torch.Tensor:
    """A class 0 in front, for cells that hold nothing: chosen when no word fits."""
    return functional.pad(logits, (1, 0))
