"""Stage B: the language model learns to answer, over frozen features of the pictures.

All dialogues about a picture hang off it as branches of one tree, so it is read once per step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from trainer.model.backbone import Backbone
from trainer.model.backbone_inputs import ImageInput, VisionFeatures
from trainer.pretraining.pace import Pace
from trainer.pretraining.pictures import Dialogue, Picture
from trainer.pretraining.vision import encode_pictures
from trainer.trees.tree_batch import Tree, TreeBatch, pad_trees

BATCH_SCENES = 14
BATCH_DIGITS = 4
BATCH_TEXTS = 2
PICTURE_BRANCHES = 7
TEXT_BRANCHES = 9


@dataclass(frozen=True, slots=True)
class Trunk:
    """What all dialogues of a kind start with, and what stands between question and answer."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    images: tuple[ImageInput, ...]

    def tree(self, backbone: Backbone, dialogues: Sequence[Dialogue], image: int | None) -> Tree:
        """One row with a branch per dialogue; answers are the labels."""
        answers = [
            (*backbone.encode_text(dialogue.answer), backbone.eos_token_id)
            for dialogue in dialogues
        ]
        branches = [
            np.array([*backbone.encode_text(dialogue.prompt), *self.after, *answer])
            for dialogue, answer in zip(dialogues, answers, strict=True)
        ]
        longest = max(map(len, branches))
        row = [*self.before, *[self.after[0]] * longest]
        positions = backbone.positions([row], [self.images])
        return Tree(
            trunk=np.array(self.before),
            branches=tuple(branches),
            labelled=tuple(map(len, answers)),
            positions=positions.reshape(-1, len(row)).numpy(),
            images=() if image is None else (image,),
        )


def find_trunk(backbone: Backbone, images: Sequence[ImageInput]) -> Trunk:
    """Splits the layout of a prompt with these images around where the prompt stands."""
    empty, filled = (backbone.prompt_ids(prompt, images) for prompt in ("", "x"))
    added = len(filled) - len(empty)
    start = next(i for i, (a, b) in enumerate(zip(empty, filled, strict=False)) if a != b)
    return Trunk(tuple(filled[:start]), tuple(filled[start + added :]), tuple(images))


def train_language(
    backbone: Backbone,
    scenes: Sequence[Picture],
    digits: Sequence[Picture],
    texts: Sequence[Dialogue],
    pace: Pace,
) -> None:
    """Trains the language model in place; vision tower and projector stay as they are."""
    torch.manual_seed(pace.seed)
    pictures = [*scenes, *digits]
    pace.say(f"encoding {len(pictures)} pictures")
    features = encode_pictures(backbone, pictures)
    seeing = find_trunk(backbone, [backbone.image_tokens(pictures[0].image)])
    reading = find_trunk(backbone, ())
    trained = backbone.parts()["language_model"]
    optimizer = torch.optim.AdamW(trained, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, pace.learning_rate_factor)
    rng = np.random.default_rng(pace.seed)
    for step in pace.walk():
        chosen = [int(i) for i in rng.integers(len(scenes), size=BATCH_SCENES)]
        chosen += [len(scenes) + int(i) for i in rng.integers(len(digits), size=BATCH_DIGITS)]
        trees = [
            seeing.tree(backbone, _some(pictures[index].talk(step), rng), place)
            for place, index in enumerate(chosen)
        ]
        for _ in range(BATCH_TEXTS):
            picked = rng.integers(len(texts), size=TEXT_BRANCHES)
            trees.append(reading.tree(backbone, [texts[int(i)] for i in picked], None))
        batch = pad_trees(trees, pad_token_id=backbone.pad_token_id)
        loss = _loss(backbone, batch, VisionFeatures(tuple(features[chosen])))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        pace.report(step, loss.item())


def _some(dialogues: Sequence[Dialogue], rng: np.random.Generator) -> list[Dialogue]:
    picked = rng.permutation(len(dialogues))[:PICTURE_BRANCHES]
    return [dialogues[int(index)] for index in picked]


def _loss(backbone: Backbone, batch: TreeBatch, features: VisionFeatures) -> torch.Tensor:
    hidden = backbone.hidden_states(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        features=features,
        placement=batch.placement,
    )
    logits = backbone.language_head(hidden[batch.label_rows, batch.label_columns])
    return functional.cross_entropy(logits, batch.labels)
