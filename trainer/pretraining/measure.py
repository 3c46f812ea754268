"""How good a backbone is at held-out questions, with the true images and with shuffled ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from trainer.data.digits import DigitSettings, DigitSource
from trainer.data.items import PreferenceItem
from trainer.data.scene_source import SceneSettings, SceneSource
from trainer.data.text_pairs import TextSettings, TextSource
from trainer.model.backbone import Backbone
from trainer.model.backbone_inputs import ImageInput
from trainer.trees.tree_batch import Tree, pad_trees

_BATCH = 32


def held_out_items(count: int, *, seed: int) -> dict[str, list[PreferenceItem]]:
    """Validation items by source."""
    return {
        "scenes": SceneSource(SceneSettings()).items("validation", count, seed=seed),
        "digits": DigitSource(DigitSettings()).items("validation", count, seed=seed),
        "text": TextSource(TextSettings()).items("validation", count, seed=seed),
    }


def answering_accuracy(
    backbone: Backbone, items: Sequence[PreferenceItem], *, shuffle_images: bool = False
) -> dict[str, float]:
    """Share of items whose best answer is the likelier one, under `all` and by category."""
    right: dict[str, list[bool]] = defaultdict(list)
    for start in range(0, len(items), _BATCH):
        chunk = items[start : start + _BATCH]
        # Half a batch further on, since items that share an image stand together.
        half = len(chunk) // 2 if shuffle_images else 0
        shown = [*chunk[half:], *chunk[:half]]
        for item, likelihoods in zip(chunk, _likelihoods(backbone, chunk, shown), strict=True):
            ranks = [response.rank for response in item.responses]
            correct = ranks[int(np.argmax(likelihoods))] == min(ranks)
            right["all"].append(correct)
            right[item.category].append(correct)
    return {name: float(np.mean(values)) for name, values in sorted(right.items())}


@torch.no_grad()
def _likelihoods(
    backbone: Backbone, items: Sequence[PreferenceItem], shown: Sequence[PreferenceItem]
) -> list[list[float]]:
    trees: list[Tree] = []
    inputs: list[ImageInput] = []
    for item, other in zip(items, shown, strict=True):
        drawn = [image.load() for image in other.images]
        images = backbone.image_inputs(drawn) if drawn else []
        # The prompt's last token opens every branch, so that each predicts its own first token.
        *trunk, opening = backbone.prompt_ids(item.prompt, images)
        answers = [
            np.array([opening, *backbone.encode_text(response.text), backbone.eos_token_id])
            for response in item.responses
        ]
        row = [*trunk, *[backbone.eos_token_id] * max(map(len, answers))]
        trees.append(
            Tree(
                trunk=np.array(trunk),
                branches=tuple(answers),
                labelled=tuple(len(answer) - 1 for answer in answers),
                positions=backbone.positions([row], [images]).reshape(-1, len(row)).numpy(),
                images=tuple(range(len(inputs), len(inputs) + len(images))),
            )
        )
        inputs += images
    batch = pad_trees(trees, pad_token_id=backbone.pad_token_id)
    hidden = backbone.hidden_states(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        features=backbone.vision_features(inputs) if inputs else None,
        placement=batch.placement,
    )
    logits = backbone.language_head(hidden[batch.label_rows, batch.label_columns])
    losses = functional.cross_entropy(logits, batch.labels, reduction="none")
    totals = torch.zeros(batch.num_branches).index_add(0, batch.label_owners, -losses)
    sizes = [len(item.responses) for item in items]
    return [part.tolist() for part in torch.split(totals, sizes)]
