"""How much memory a rank of a training takes, estimated from figures; imports no torch.

Weights, gradients and optimizer states are counted. Activations are floats per token, layer and
unit of width, counted from a decoder layer and measured on this trainer in every family
(`python -m tests.benchmarks.memory`). What a process takes before it holds a model is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainer.backbone_entries import BackboneEntry, Kind
from trainer.config import TrainerConfig
from trainer.phases import is_ever_free
from trainer.strategy_config import FreezeConfig

GIB = 1024**3

EXACT_FLOATS = 5.0
"""Kept for backward per token, layer and unit of width, in float32 whatever the precision: both
norms' inputs and what they are scaled to; and in some families, norms of queries and keys."""

PLAIN_FLOATS = 8.0
"""The same in the training's precision: both norms' outputs; query, key, value and output of the
attention as it lays them out, and a copy or two on the way there and back."""

MLP_FLOATS = 4.0
"""The same per unit of the MLP's width: gate, its activation, up, and their product."""

WIDEST_MLP = 5.9
"""In units of a model's width, where an entry does not say: the widest of the catalog."""

VISION_MLP = 2.7
"""Width of a vision tower's MLP, in units of its own: Qwen's, whose gate keeps the most."""

BACKWARD_SHARE = 0.4
"""Of what a layer keeps: gradients that stand beside it while backward passes through it."""

LABELLED_SHARE = 0.25
"""Of a row's tokens, where words are trained: their logits are made."""

LOGIT_FLOATS = 4.0
"""Per labelled token and word: logits, their float32, its softmax, and the gradient."""

MOST_WORDS = 152_000
"""Of a vocabulary: Qwen's."""

REDUCE_BUCKET = 500_000_000
"""Gradients DeepSpeed copies together, its default."""

BUCKETS = (1, 1, 2, 2)
"""How many of them a rank of a gang holds, by ZeRO stage: what is sent, and from stage 2 on the
gradients it was put together from, which no parameter keeps."""

LIVE_PARAMETERS = 1_000_000_000
"""Parameters DeepSpeed leaves whole between uses at ZeRO stage 3, its default."""

PROCESS_GIB = 0.6
"""Of a rank and its libraries before it holds a model, without an accelerator."""

ACCELERATOR_GIB = 1.5
"""Of an accelerator: its context and workspaces."""

LOST_SHARE = 0.15
"""What an accelerator's allocator loses to pieces that fit nothing."""

HEAP_MODELS = (0.0, 1.0, 0.0, 4.0)
"""Without an accelerator, in a gang, by ZeRO stage: how many models fit into what lies free in the
heap, between pieces that are cut up at the start or put together for every layer; measured."""

HEAP_LAYERS = 5.0
"""Without an accelerator: how many layers' kept pieces fit into what lies free in the heap between
pieces in use. Blocks under 32 MB come from there, and only its end is ever given back."""

USUAL_ROW_TOKENS = 2048
"""A prompt with an image and its responses, when nothing is known of the data."""

PATCHES_PER_IMAGE_TOKEN: dict[Kind, float] = {
    "qwen-vl": 4,
    "internvl": 4,
    "llava-onevision": 1.7,
    "smolvlm": 16,
    "text": 0,
}
"""How many a projector makes one token of; LLaVA-OneVision cuts off some of a tiled image's."""

VISION_ASPECT = 40
"""Width of a vision tower in units of its depth: 1280 / 32 and 1024 / 24 in the real ones."""

PROJECTOR_SHARE = 0.1
"""Of the vision parameters, at most: 7 % in Qwen2.5-VL 7B, 8 % in InternVL3 8B."""


def process_gib(*, accelerated: bool) -> float:
    """What a device holds before a rank has a model on it."""
    return ACCELERATOR_GIB if accelerated else PROCESS_GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes of one rank by what they are for."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    lost: float
    """By the allocator."""

    @property
    def total(self) -> float:
        """Of them all."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.lost


def estimate_memory(
    config: TrainerConfig,
    backbone: BackboneEntry,
    *,
    row_tokens: int = USUAL_ROW_TOKENS,
    image_tokens: int = 0,
    accelerated: bool = True,
) -> MemoryEstimate:
    """Peak of a training step.

    Args:
        config: Its machine says how the training is laid out.
        backbone: Figures of its model.
        row_tokens: Of one item, prompt once and all responses: the mean suffices, since micro
            batches are dealt by work.
        image_tokens: Of them, those of images; only a trained vision tower keeps activations.
        accelerated: Whether the memory is an accelerator's, or a process's heap.
    """
    machine, rests = config.machine, _rests(config)
    language = backbone.parameters - backbone.vision_parameters
    trained = _trained_parameters(config, backbone)
    stage, ranks = machine.zero_stage, machine.workers
    weights, gradients = float(backbone.parameters), float(trained)
    # AdamW keeps two moments, Muon one; ZeRO keeps its part of the weights flat beside them.
    moments = 2.0 * trained - _muon_parameters(config, backbone)
    states = moments if stage == 0 else (moments + trained) / ranks
    if stage == 3:
        whole = max(2 * language / max(1, backbone.layers), min(language, LIVE_PARAMETERS))
        weights = backbone.parameters / ranks + whole
    if stage >= 2:
        gradients = trained / ranks
    if stage or ranks > 1:
        gradients += BUCKETS[stage] * min(trained, REDUCE_BUCKET)
    micro: float = machine.micro_batch_pairs or config.strategy.batch_pairs // ranks
    if machine.micro_batch_tokens is not None:
        micro = min(micro, max(1.0, machine.micro_batch_tokens / row_tokens))
    kept, layer = _item_activations(config, backbone, row_tokens, image_tokens)
    casts = 0.0
    if config.strategy.precision == "bf16" and kept and not machine.gradient_checkpointing:
        casts = 2.0 * (language if rests.vision else backbone.parameters)
    activations = casts + micro * kept
    if accelerated:
        lost = LOST_SHARE * (4.0 * (weights + gradients + states) + activations)
    else:
        lost = HEAP_LAYERS * micro * layer
        lost += 4.0 * backbone.parameters * (HEAP_MODELS[stage] if ranks > 1 else 0.0)
    return MemoryEstimate(
        weights=4.0 * weights,
        gradients=4.0 * gradients,
        optimizer=4.0 * states,
        activations=activations,
        lost=lost,
    )


def _rests(config: TrainerConfig) -> FreezeConfig:
    """Parts that no phase trains."""
    return FreezeConfig(
        vision=not is_ever_free(config, "vision"),
        projector=not is_ever_free(config, "projector"),
        language_model=not is_ever_free(config, "language_model"),
    )


def _trained_parameters(config: TrainerConfig, backbone: BackboneEntry) -> float:
    """Of the backbone, in all phases together; of adapters those of every linear layer."""
    rests, rank = _rests(config), config.strategy.lora.rank
    vision, width = float(backbone.vision_parameters), backbone.hidden_size
    language = backbone.parameters - vision
    if rank:
        # An adapter has `rank` weights per input and output: four square matrices of the
        # attention, three between width and MLP.
        depth, mlp = _vision_depth(backbone), backbone.mlp_size or WIDEST_MLP * width
        language = rank * backbone.layers * (11 * width + 3 * mlp)
        vision = rank * depth * (11 + 3 * VISION_MLP) * VISION_ASPECT * depth
    trained = 0.0 if rests.language_model else language
    if not rests.vision:
        trained += vision
    if not rests.projector and (rank or rests.vision):
        trained += PROJECTOR_SHARE * backbone.vision_parameters
    return trained


def _muon_parameters(config: TrainerConfig, backbone: BackboneEntry) -> float:
    """Of the trained ones, those Muon has, at least: the language model without its words."""
    if config.strategy.optimizer != "muon" or config.strategy.lora.rank:
        return 0.0
    language = backbone.parameters - backbone.vision_parameters
    words = 2.0 * min(MOST_WORDS, language / backbone.hidden_size) * backbone.hidden_size
    return 0.0 if _rests(config).language_model else max(0.0, language - words)


def _vision_depth(backbone: BackboneEntry) -> float:
    """Layers of the vision tower: 12 weights per squared unit of width and layer give both."""
    return float((backbone.vision_parameters / (12 * VISION_ASPECT**2)) ** (1 / 3))


def _item_activations(
    config: TrainerConfig, backbone: BackboneEntry, row_tokens: int, image_tokens: int
) -> tuple[float, float]:
    """Bytes one item takes at the peak of a step, and those its largest layer keeps."""
    rests, low = _rests(config), config.strategy.precision == "bf16"
    inputs, kept, largest = 0.0, 0.0, 0.0
    if not (rests.language_model and rests.vision and rests.projector):
        width, layers = backbone.hidden_size, backbone.layers
        mlp = (backbone.mlp_size or WIDEST_MLP * width) / width
        largest = row_tokens * width * _layer_bytes(mlp, low=low)
        inputs, kept = 4.0 * layers * row_tokens * width, layers * largest
        reasons = config.paradigm == "generative" and config.judge.reasoning
        if config.paradigm == "critic" or reasons:
            language = backbone.parameters - backbone.vision_parameters
            words = min(MOST_WORDS, language / width)
            logits = row_tokens * LABELLED_SHARE * words * 4.0 * LOGIT_FLOATS
            kept, largest = kept + logits, max(largest, logits)
    if not rests.vision and backbone.vision_parameters:
        depth = _vision_depth(backbone)
        seen = image_tokens * PATCHES_PER_IMAGE_TOKEN[backbone.kind] * VISION_ASPECT * depth
        layer = seen * _layer_bytes(VISION_MLP, low=low)
        inputs, kept = inputs + 4.0 * depth * seen, kept + depth * layer
        largest = max(largest, layer)
    if config.machine.gradient_checkpointing:
        kept = inputs + largest
    return kept + BACKWARD_SHARE * largest, largest


def _layer_bytes(mlp: float, *, low: bool) -> float:
    """What a layer keeps per token and unit of width, its MLP being so many times as wide."""
    return 4.0 * EXACT_FLOATS + (2.0 if low else 4.0) * (PLAIN_FLOATS + MLP_FLOATS * mlp)
