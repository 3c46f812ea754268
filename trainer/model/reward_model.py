"""`RewardModel`: a backbone and what reads scores from it, for all three paradigms.

Scalar and critic pool each branch and apply the head; a judge reads the probabilities of its two
verdicts where its branch ends. The language head runs only on the tokens whose words are needed:
never for scalar, on labelled tokens for a critic, on verdicts for a judge.
Letters: B rows, L tokens, H hidden size, N branches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from transformers import Cache

from infra.errors import BackboneError
from trainer.config import TrainerConfig
from trainer.model.backbone import Backbone
from trainer.model.backbone_inputs import VisionFeatures
from trainer.model.decoder_layers import LayerReader, check_layer, cut_after
from trainer.model.head import RewardHead
from trainer.model.low_rank import weights_under_adapters
from trainer.model.pooling import pool
from trainer.phases import is_ever_free
from trainer.prompting.examples import Batch, ModelBatch, PooledBatch
from trainer.prompting.prompts import verdict_tokens
from trainer.strategy_config import FreezeConfig
from trainer.training.losses import sequence_losses
from trainer.trees.tree_batch import TreeBatch


class RewardModel(nn.Module):
    """Scores for the branches of a batch."""

    def __init__(self, backbone: Backbone, config: TrainerConfig) -> None:
        super().__init__()
        self.backbone = backbone
        self.config = config
        self.module = backbone.module
        if config.writes and not backbone.shares_prompts:
            raise BackboneError(
                "a model writes for all responses at once, which takes full attention under a "
                "mask in every layer; this backbone has others, so use another backbone or paradigm"
            )
        if config.machine.share_prompts == "always" and not backbone.shares_prompts:
            raise BackboneError(
                "machine.share_prompts is always, but this backbone has layers that look past a "
                "mask (sliding window or recurrent) or take none; set it to auto to read rows "
                "separately"
            )
        self.head: RewardHead | None = None
        self._inner: LayerReader | None = None
        self.verdicts: tuple[int, int] | None = None
        if config.paradigm == "generative":
            self.verdicts = verdict_tokens(backbone)
        else:
            self.head = RewardHead(config.head, backbone.hidden_size, seed=config.seed)
            self._inner = _inner_layer(backbone, config)
        self._embedding_hook: RemovableHandle | None = None
        self.begin_phase(config.strategy.freeze)
        if config.machine.gradient_checkpointing:
            backbone.module.activation_checkpointing_enable()
        self._vision_is_trained = any(
            is_ever_free(config, part) and backbone.parts()[part]
            for part in ("vision", "projector")
        )

    def begin_phase(self, freeze: FreezeConfig) -> None:
        """Set which weights are trained: adapters where a part has them, else the part itself."""
        for part, parameters in self.backbone.parts().items():
            trained = not getattr(freeze, part)
            for parameter in parameters:
                parameter.requires_grad_(trained)
        for parameter in weights_under_adapters(self.backbone):
            parameter.requires_grad_(False)
        if self._embedding_hook is not None:
            self._embedding_hook.remove()
            self._embedding_hook = None
        embeddings = self.module.get_input_embeddings()
        if not (freeze.vision and freeze.projector) and not embeddings.weight.requires_grad:
            self._embedding_hook = embeddings.register_forward_hook(_ask_for_gradients)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.module.parameters()).device
        return device

    @property
    def vision_is_trained(self) -> bool:
        """Whether image features change from step to step."""
        return self._vision_is_trained

    def forward(
        self, batch: Batch, *, always_encode_images: bool = False, grow_into: Cache | None = None
    ) -> dict[str, torch.Tensor]:
        """What the paradigm says of each branch, or where writing begins.

        Args:
            batch: On any device.
            always_encode_images: Run the vision tower even when the batch shows no new image, so
                that every rank touches the same weights in the same order.
            grow_into: Fill this cache with the rows, which must lie side by side, and say nothing
                yet. Here and not beside it, since under ZeRO-3 weights that no layer owns are
                gathered in a model's own forward pass alone.

        Returns:
            With a cache `words` and `scores`, the states [B, L, H] both are read from. Else
            `scores` [N] (scalar, critic), `critique_losses` [N] (critic), and `verdicts` [N, 2]
            log-probabilities with `parsed` [N] (generative), all float32.
        """
        if isinstance(batch, PooledBatch):
            assert self.head is not None
            return {"scores": self.head(batch.pooled.to(self.device))}
        hidden, read, rows = self.read(
            batch, always_encode_images=always_encode_images, cache=grow_into
        )
        if grow_into is not None:
            return {"words": hidden, "scores": read}
        with self.autocast():
            if self.head is None:
                outputs = self.read_verdicts(hidden[rows.rows, rows.ends])
                if self.config.judge.reasoning:
                    outputs["critique_losses"] = self._critique_losses(hidden, rows)
                return outputs
            pooled = pool(read, rows, self.config.head.pooling, self.head)
            outputs = {"scores": self.head(pooled)}
            if self.config.paradigm == "critic":
                outputs["critique_losses"] = self._critique_losses(hidden, rows)
        return outputs

    def read(
        self, batch: ModelBatch, *, always_encode_images: bool = False, cache: Cache | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, TreeBatch]:
        """The states words are read from, those scores are read from, and the rows they are of."""
        rows = batch.rows.to(self.device)
        with self.autocast():
            features, bait = self.image_features(batch, always=always_encode_images)
            hidden, read = self.states(
                input_ids=rows.input_ids,
                attention_mask=rows.attention_mask,
                position_ids=rows.position_ids,
                features=features,
                placement=rows.placement,
                layout=rows.layout,
                cache=cache,
            )
            if bait is not None:
                hidden, read = hidden + bait, read + bait
        return hidden, read, rows

    def states(self, **inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401 -- passed on
        """Hidden states [B, L, H] words are read from, and those scores are read from.

        They are the same unless the head reads an inner layer. Takes what `Backbone.hidden_states`
        takes.
        """
        hidden = self.backbone.hidden_states(**inputs)
        return hidden, hidden if self._inner is None else self._inner.take()

    def autocast(self) -> torch.autocast:
        """The backbone's precision; weights stay float32 and the head opts out."""
        low = self.config.strategy.precision == "bf16"
        # A training step takes every weight once. Kept to its end, their low-precision copies
        # would undo what recomputed layers and partitioned weights save.
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=low, cache_enabled=not self.training
        )

    def image_features(
        self, batch: ModelBatch, *, always: bool = False
    ) -> tuple[VisionFeatures | None, torch.Tensor | None]:
        """The batch's encoded images, and a zero that ties a blank image into the graph.

        The vision tower comes before everything else on every rank: under ZeRO the order in
        which weights are gathered has to be the same everywhere.
        """
        device = self.device
        images = batch.images
        if images.inputs:
            return self.backbone.vision_features(images.inputs), None
        bait = None
        if always and self.backbone.takes_images:
            blank = self.backbone.vision_features([self.backbone.blank_image()])
            bait = torch.stack([block.sum() for block in blank.tokens]).sum() * 0.0
            for layers in blank.deepstack:
                bait = bait + torch.stack([layer.sum() for layer in layers]).sum() * 0.0
        if images.features is None:
            return None, bait
        return images.features.apply(lambda block: block.to(device)), bait

    def read_verdicts(self, hidden: torch.Tensor) -> dict[str, torch.Tensor]:
        """Log-probabilities of both verdicts [N, 2], and whether one of them is the likeliest word.

        Args:
            hidden: [N, H] where a verdict is due.
        """
        assert self.verdicts is not None
        logits = self.backbone.language_head(hidden).float()
        likelihood = logits.log_softmax(-1)[:, list(self.verdicts)]
        likeliest = logits.argmax(-1)
        parsed = (likeliest == self.verdicts[0]) | (likeliest == self.verdicts[1])
        return {"verdicts": likelihood, "parsed": parsed.float()}

    def _critique_losses(self, hidden: torch.Tensor, rows: TreeBatch) -> torch.Tensor:
        logits = self.backbone.language_head(hidden[rows.label_rows, rows.label_columns])
        return sequence_losses(logits, rows.labels, rows.label_owners, rows.num_branches)


def _ask_for_gradients(_module: nn.Module, _inputs: object, embedded: torch.Tensor) -> None:
    # Where images bring a gradient into the language model and its embeddings rest, a batch of
    # text alone would stop at its first weights, and under ZeRO-3 the ranks would lose step.
    embedded.requires_grad_(True)


def _inner_layer(backbone: Backbone, config: TrainerConfig) -> LayerReader | None:
    layer = config.head.hidden_layer
    if layer is None:
        return None
    check_layer(backbone.module, layer)
    if config.paradigm == "critic":  # its words come from the last layer
        return LayerReader(backbone.module, layer)
    cut_after(backbone.module, layer)
    return None
