"""How much memory a device needs for a trial, and how much it leaves in the store; by arithmetic.

Weights, gradients and Adam's moments as ZeRO shares them (Rajbhandari et al., 2020, section 3),
activations of one micro batch as kept by a transformer layer (Korthikanti et al., 2022, equation 2,
with fused attention), one layer's worth beside the checkpoints where they are recomputed.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.engine.planning.cost_model import mean_tokens
from trainer.catalog import BackboneEntry, lookup
from trainer.config import TrainerConfig

GIB = float(2**30)
_PER_LAYER = 34
"""Bytes of activations per token and unit of width that half precision keeps for the backward."""
_RUNTIME_GIB = {"cpu-core": 0.6}
"""Of the process and its libraries; an accelerator holds its context and workspaces."""
_ACCELERATOR_GIB = 1.5
_VOCABULARY = 150_000
_FULL, _HALF = 4, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one trial takes."""

    device_gib: float
    """Peak memory of one device (of one worker's process, without an accelerator)."""
    stored_gib: float
    """Left in the store at the end: the model."""
    checkpoint_gib: float
    """One checkpoint, all ranks together; two stand at once while one is written."""


def footprint(config: TrainerConfig, *, device: str) -> Footprint:
    """The footprint of a trial on a kind of device."""
    entry = lookup(config.backbone)
    trained = _trained_parameters(config, entry)
    weight_bytes = _HALF if config.strategy.precision == "bf16" else _FULL
    # Mixed precision keeps an fp32 copy of what it trains beside Adam's two moments.
    optimizer_bytes = 12 if config.strategy.precision == "bf16" else 8
    workers, stage = config.machine.workers, config.machine.zero_stage
    weights = entry.parameters * weight_bytes / (workers if stage >= 3 else 1)
    gradients = trained * weight_bytes / (workers if stage >= 2 else 1)
    optimizer = trained * optimizer_bytes / (workers if stage >= 1 else 1)
    held = weights + gradients + optimizer + _activations(config, entry, weight_bytes)
    runtime = _RUNTIME_GIB.get(device, _ACCELERATOR_GIB)
    return Footprint(
        device_gib=held / GIB + runtime,
        stored_gib=entry.parameters * weight_bytes / GIB,
        checkpoint_gib=(entry.parameters * weight_bytes + trained * optimizer_bytes) / GIB,
    )


def _trained_parameters(config: TrainerConfig, entry: BackboneEntry) -> int:
    freeze = config.strategy.freeze
    language = 0 if freeze.language_model else entry.parameters - entry.vision_parameters
    vision = 0 if freeze.vision else entry.vision_parameters
    return language + vision


def _activations(config: TrainerConfig, entry: BackboneEntry, weight_bytes: int) -> float:
    """Bytes kept for the backward of one micro batch of pairs."""
    tokens = mean_tokens(config, entry)
    share = max(1, config.strategy.batch_pairs // config.machine.workers)
    pairs = config.machine.micro_batch_pairs or share
    length = tokens.prompt + tokens.image + 2 * tokens.response
    if config.paradigm == "critic":
        length += 2 * tokens.critique
    if config.paradigm == "generative":
        length += 2 * tokens.response
    per_layer = _PER_LAYER * pairs * length * entry.hidden_size * weight_bytes / _HALF
    frozen = config.strategy.freeze
    backward = not (frozen.language_model and frozen.vision and frozen.projector)
    if not backward:
        kept = 2 * per_layer
    elif config.machine.gradient_checkpointing:
        inputs = pairs * length * entry.hidden_size * weight_bytes * entry.layers
        kept = per_layer + inputs
    else:
        kept = per_layer * entry.layers
    logits = 0.0
    if config.paradigm in ("critic", "generative") and entry.hub_id is not None:
        logits = pairs * length * _VOCABULARY * _FULL
    return kept + logits
