"""How long a training takes, from its config alone, corrected by what earlier trainings took.

Arithmetic first: operations of every pair and item over what a device achieves. Then measured
trials, nearest first, say by how much the arithmetic is wrong for this kind of training.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from trainer.backbone_entries import BackboneEntry
from trainer.catalog import lookup
from trainer.config import TrainerConfig
from trainer.token_counts import TokenCounts, mean_tokens, source_tokens

UNPROVEN = 3.0
"""Factor by which an uncorrected estimate may be wrong either way."""
SECOND_WORKER_GAIN = 0.85
"""Of its speed each worker keeps in a gang; the rest goes into exchanging gradients."""
_SCORED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and how far it may be off."""

    low: float
    mid: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        """Sum of figures that may all be off the same way."""
        return Interval(self.low + other.low, self.mid + other.mid, self.high + other.high)

    def __mul__(self, factor: float) -> Interval:
        """The figure in another unit."""
        return Interval(self.low * factor, self.mid * factor, self.high * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRate:
    """What one device achieves on models of the size it is meant for."""

    name: str
    flops_per_second: float
    """Achieved, not peak, at bf16 where the device has it."""
    fp32_slowdown: float = 1.0
    seconds_per_step: float
    """Of an optimizer step beyond its arithmetic."""
    seconds_to_start: float
    """Until the first step: processes, weights, data."""
    gib: float | None = None
    """Memory of one; None where that is the machine's."""


CPU_CORE = DeviceRate(
    name="cpu-core", flops_per_second=2e10, seconds_per_step=0.02, seconds_to_start=6.0
)
"""One core on the shipped tiny backbones; about 270 pairs/s at 0.5 M language parameters."""
A100 = DeviceRate(
    name="a100",
    gib=80.0,
    flops_per_second=0.35 * 312e12,
    fp32_slowdown=4.0,
    seconds_per_step=0.1,
    seconds_to_start=90.0,
)
"""35 % of the peak of dense bf16."""
H100 = DeviceRate(
    name="h100",
    gib=80.0,
    flops_per_second=0.35 * 989e12,
    fp32_slowdown=4.0,
    seconds_per_step=0.1,
    seconds_to_start=90.0,
)
H200 = replace(H100, name="h200", gib=140.0)
"""An H100 with more memory: what it computes a second is the same."""
DEVICE_RATES = {rate.name: rate for rate in (CPU_CORE, A100, H100, H200)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTrial:
    """What a training took from start to end."""

    config: TrainerConfig
    seconds: float
    """Wall time of all its attempts."""
    workers: int = 1


class CostModel:
    """Seconds of a training; made once per plan."""

    def __init__(self, device: DeviceRate, history: Sequence[MeasuredTrial] = ()) -> None:
        self.device = device
        self.calibrated_on = 0
        """Measured trials it could use."""
        self._errors: dict[Hashable, list[float]] = {}
        for trial in history:
            if trial.seconds > 0:
                expected = arithmetic_seconds(trial.config, device, workers=trial.workers)
                self._learn(trial.config, math.log(trial.seconds / expected))

    def seconds(self, config: TrainerConfig) -> Interval:
        """Wall seconds of the whole training with the workers of its config."""
        expected = arithmetic_seconds(config, self.device, workers=config.machine.workers)
        for rank, kind in enumerate(_kinds(config)):
            errors = self._errors.get(kind)
            if errors:
                mid = expected * math.exp(statistics.median(errors))
                spread = _spread(errors, rank)
                return Interval(mid / spread, mid, mid * spread)
        return Interval(expected / UNPROVEN, expected, expected * UNPROVEN)

    def _learn(self, config: TrainerConfig, error: float) -> None:
        self.calibrated_on += 1
        for kind in _kinds(config):
            self._errors.setdefault(kind, []).append(error)


def arithmetic_seconds(config: TrainerConfig, device: DeviceRate, *, workers: int) -> float:
    """Wall seconds of the whole training on devices of this kind, uncorrected."""
    entry = lookup(config.backbone)
    rate = device.flops_per_second
    if config.strategy.precision == "fp32":
        rate /= device.fp32_slowdown
    rate *= workers * (SECOND_WORKER_GAIN if workers > 1 else 1.0)
    rate /= config.machine.trials_per_gpu  # as if all were busy with it all the time
    tokens = mean_tokens(config, entry)
    steps = config.total_steps
    pairs = steps * config.strategy.batch_pairs
    training = pairs * _training_flops(config, entry, tokens) / rate
    scored = _scored_items(config, entry)
    items = sum(scored.values())
    scoring = sum(
        count * (_language_flops(config, entry, each) + _vision_flops(entry, each)) / rate
        for each, count in scored.items()
    )
    if config.writes:
        # Critiques and reasons are written token by token, a batch at a time.
        judges = config.paradigm == "generative"
        limit = config.judge.max_written_tokens if judges else config.critic.max_critique_tokens
        passes = math.ceil(items / _SCORED_AT_ONCE) * limit
        scoring += passes * device.seconds_per_step
    return device.seconds_to_start + steps * device.seconds_per_step + training + scoring


def _training_flops(config: TrainerConfig, entry: BackboneEntry, tokens: TokenCounts) -> float:
    """Operations of forward and backward on one pair."""
    freeze = config.strategy.freeze
    language = _language_flops(config, entry, tokens)
    vision = _vision_flops(entry, tokens)
    if not freeze.language_model:
        language *= 3
    elif not (freeze.vision and freeze.projector):
        language *= 2  # gradients pass through, weights get none
    if not freeze.vision:
        vision *= 3
    recomputed = (language + vision) / 3 if config.machine.gradient_checkpointing else 0.0
    return language + vision + recomputed


def _language_flops(config: TrainerConfig, entry: BackboneEntry, tokens: TokenCounts) -> float:
    """Operations of the language model's forward on one pair: trunk once, then the branches."""
    branches = {
        "scalar": 2 * tokens.response,
        "critic": 2 * (tokens.response + tokens.critique),
        # Both responses in both orders, and what is said of both.
        "generative": 4 * (tokens.response + tokens.critique * config.judge.reasoning),
    }[config.paradigm]
    parameters = entry.parameters - entry.vision_parameters
    return 2.0 * parameters * (tokens.prompt + tokens.image + branches)


def _vision_flops(entry: BackboneEntry, tokens: TokenCounts) -> float:
    """Operations of the vision tower's forward; four patches make one image token."""
    return 2.0 * entry.vision_parameters * 4 * tokens.image


def _scored_items(config: TrainerConfig, entry: BackboneEntry) -> dict[TokenCounts, int]:
    """How many items of each size a training scores: at its end, and those it is watched by.

    A text-only twin has the items with images alone.
    """
    evaluation = config.evaluation
    found: dict[TokenCounts, int] = {}
    for name, benchmark in evaluation.benchmarks.items():
        times = 1 + (len(evaluation.during) if name == evaluation.monitor else 0)
        for source, count in benchmark.expected_parts.items():
            tokens = source_tokens(config, source, entry)
            if tokens.image or not benchmark.shuffle_images:
                found[tokens] = found.get(tokens, 0) + times * count
    return found


def _kinds(config: TrainerConfig) -> tuple[Hashable, ...]:
    """Sets of trainings this one belongs to, the nearest first."""
    backbone = config.backbone.path or (config.backbone.family, config.backbone.scale)
    return (
        ("same", config.paradigm, backbone, config.strategy.freeze.language_model),
        ("backbone", backbone),
        ("paradigm", config.paradigm),
        ("any",),
    )


def _spread(errors: Sequence[float], rank: int) -> float:
    """Factor either way: what the measured trials differ by, more when they are of other kinds."""
    known = math.exp(2 * statistics.stdev(errors)) if len(errors) > 2 else 1.5
    return max(known, (1.15, 1.5, 2.0, 2.0)[rank])
