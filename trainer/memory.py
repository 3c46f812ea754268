"""How much memory a rank of a training takes, estimated from figures; imports no torch.

Weights, gradients and optimizer states are counted; activations are floats kept per token, layer
and unit of width, measured on this trainer (`python -m tests.benchmarks.memory`). The estimate is
of device memory and leaves out what a process takes before it holds a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infra.errors import InputError
from trainer.backbone_entries import BackboneEntry
from trainer.config import MachineConfig, TrainerConfig

GIB = 1024**3
KEPT_FLOATS = 40.0
"""Kept for backward per token, layer and unit of width: norms, projections, rotations, and an MLP
three to four times as wide."""

CHECKPOINTED_FLOATS = 1.0
"""The same where every layer is computed again in backward: its input."""

PROCESS_GIB = 0.6
"""Of a rank and its libraries before it holds a model, without an accelerator."""

ACCELERATOR_GIB = 1.5
"""Of an accelerator: its context and workspaces."""

SLACK = 1.15
"""What allocators lose to pieces that fit nothing."""

USUAL_ROW_TOKENS = 2048
"""A prompt with an image and its responses, when nothing is known of the data."""

PATCHES_PER_IMAGE_TOKEN = 4
VISION_ASPECT = 40
"""Width of a vision tower in units of its depth: 1280 / 32 and 1024 / 24 in the real ones."""


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

    @property
    def total(self) -> float:
        """With what allocators lose."""
        return SLACK * (self.weights + self.gradients + self.optimizer + self.activations)


def estimate_memory(
    config: TrainerConfig,
    backbone: BackboneEntry,
    *,
    row_tokens: int = USUAL_ROW_TOKENS,
    image_tokens: int = 0,
) -> MemoryEstimate:
    """Peak of a training step.

    Args:
        config: Its machine says how the training is laid out.
        backbone: Figures of its model.
        row_tokens: Of one item, prompt once and all responses: the mean suffices, since micro
            batches are dealt by work.
        image_tokens: Of them, those of images; only a trained vision tower keeps activations.
    """
    machine, freeze = config.machine, config.strategy.freeze
    language = backbone.parameters - backbone.vision_parameters
    trained = 0 if freeze.language_model else language
    trained += 0 if freeze.vision else backbone.vision_parameters
    stage, ranks = machine.zero_stage, machine.workers
    # The largest piece that is whole for a moment under ZeRO-3 is about one layer, twice.
    gathered = 2 * language / max(1, backbone.layers)
    weights = backbone.parameters / ranks + gathered if stage == 3 else backbone.parameters
    gradients = trained / ranks if stage >= 2 else trained
    # AdamW keeps two moments; ZeRO keeps its part of the weights flat beside them.
    states = 2 * trained if stage == 0 else 3 * trained / ranks
    micro: float = machine.micro_batch_pairs or config.strategy.batch_pairs // ranks
    if machine.micro_batch_tokens is not None:
        micro = min(micro, max(1.0, machine.micro_batch_tokens / row_tokens))
    return MemoryEstimate(
        weights=4.0 * weights,
        gradients=4.0 * gradients,
        optimizer=4.0 * states,
        activations=micro * _item_activations(config, backbone, row_tokens, image_tokens),
    )


def settle_machine(
    config: TrainerConfig,
    backbone: BackboneEntry,
    *,
    gib: float,
    max_workers: int,
    row_tokens: int = USUAL_ROW_TOKENS,
    image_tokens: int = 0,
) -> MachineConfig:
    """The layout with the fewest workers that fits, then the least overhead.

    Args:
        config: What is trained; of its machine, threads and the like are kept.
        backbone: Figures of its model.
        gib: Memory of one worker.
        max_workers: Largest gang that may be asked for.
        row_tokens: As `estimate_memory`.
        image_tokens: As `estimate_memory`.

    Raises:
        InputError: If nothing fits; says how much the smallest layout would take.
    """
    smallest = None
    for machine in _layouts(config, max_workers):
        laid_out = config.model_copy(update={"machine": machine})
        estimate = estimate_memory(
            laid_out, backbone, row_tokens=row_tokens, image_tokens=image_tokens
        )
        if estimate.total <= gib * GIB:
            return machine
        smallest = min(smallest or estimate.total, estimate.total)
    raise InputError(
        f"{backbone.name} does not fit: the smallest layout on at most {max_workers} workers takes "
        f"about {(smallest or 0.0) / GIB:.1f} GiB a worker, and there are {gib:g}; use more or "
        "larger workers, a smaller backbone, or freeze more of it"
    )


def _layouts(config: TrainerConfig, max_workers: int) -> Iterator[MachineConfig]:
    """From the least overhead to the least memory, gang by gang."""
    batch = config.strategy.batch_pairs
    for workers in range(1, max_workers + 1):
        share, rest = divmod(batch, workers)
        if rest:
            continue
        micros = [micro for micro in range(share, 0, -1) if share % micro == 0]
        for stage in (0,) if workers == 1 else (0, 2, 3):
            # Smaller micro batches cost less than computing every layer twice.
            for checkpointing in (False, True):
                for micro in micros:
                    yield config.machine.model_copy(
                        update={
                            "workers": workers,
                            "zero_stage": stage,
                            "micro_batch_pairs": None if micro == share else micro,
                            "micro_batch_tokens": None,
                            "gradient_checkpointing": checkpointing,
                        }
                    )


def _item_activations(
    config: TrainerConfig, backbone: BackboneEntry, row_tokens: int, image_tokens: int
) -> float:
    """Bytes one item keeps for backward."""
    freeze = config.strategy.freeze
    width = 2.0 if config.strategy.precision == "bf16" else 4.0
    unit = backbone.hidden_size * width
    total = 0.0
    if not (freeze.language_model and freeze.vision and freeze.projector):
        total += row_tokens * unit * _kept(config, backbone.layers)
    if not freeze.vision and backbone.vision_parameters:
        # 12 weights per squared unit of width and layer give depth and width from the count.
        depth = (backbone.vision_parameters / (12 * VISION_ASPECT**2)) ** (1 / 3)
        patches = image_tokens * PATCHES_PER_IMAGE_TOKEN
        total += patches * VISION_ASPECT * depth * width * _kept(config, depth)
    return total


def _kept(config: TrainerConfig, layers: float) -> float:
    """Floats per token and unit of width over all layers."""
    if config.machine.gradient_checkpointing:
        return CHECKPOINTED_FLOATS * layers + KEPT_FLOATS
    return KEPT_FLOATS * layers
