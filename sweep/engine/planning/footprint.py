"""What a trial takes of a device's memory and of the store, by the trainer's own estimate.

The trainer keeps weights in float32 whatever it computes in, so that is what is stored too.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainer.backbone_entries import BackboneEntry
from trainer.catalog import lookup
from trainer.config import TrainerConfig
from trainer.memory import ACCELERATOR_GIB, GIB, PROCESS_GIB, estimate_memory, settle_machine
from trainer.token_counts import mean_tokens, row_tokens

_WEIGHT = 4
_MOMENTS = 8
"""Bytes of Adam's two moments."""


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
    tokens = mean_tokens(config, entry)
    estimate = estimate_memory(
        config, entry, row_tokens=row_tokens(config, tokens), image_tokens=tokens.image
    )
    trained = _trained_parameters(config, entry)
    return Footprint(
        device_gib=estimate.total / GIB + _runtime_gib(device),
        stored_gib=entry.parameters * _WEIGHT / GIB,
        checkpoint_gib=(entry.parameters * _WEIGHT + trained * _MOMENTS) / GIB,
    )


@dataclass(frozen=True, slots=True)
class Layouts:
    """Lays out trials that would not fit a device's memory; the others stay as they are."""

    device: str
    gib: float
    max_workers: int

    def __call__(self, config: TrainerConfig) -> TrainerConfig:
        """The trial as it fits.

        Raises:
            InputError: If nothing fits; says how much the smallest layout would take.
        """
        if footprint(config, device=self.device).device_gib <= self.gib:
            return config
        layout = fitting_layout(
            config, device=self.device, gib=self.gib, max_workers=self.max_workers
        )
        machine = config.machine.model_copy(update=layout)
        return config.model_copy(update={"machine": machine})


def fitting_layout(
    config: TrainerConfig, *, device: str, gib: float, max_workers: int
) -> dict[str, object]:
    """Settings of `machine` under which a trial fits devices of so much memory, that differ.

    Raises:
        InputError: If nothing fits; says how much the smallest layout would take.
    """
    entry = lookup(config.backbone)
    tokens = mean_tokens(config, entry)
    settled = settle_machine(
        config,
        entry,
        gib=gib - _runtime_gib(device),
        max_workers=max_workers,
        row_tokens=row_tokens(config, tokens),
        image_tokens=tokens.image,
    )
    before = config.machine.model_dump()
    return {key: value for key, value in settled.model_dump().items() if value != before[key]}


def _runtime_gib(device: str) -> float:
    return PROCESS_GIB if device == "cpu-core" else ACCELERATOR_GIB


def _trained_parameters(config: TrainerConfig, entry: BackboneEntry) -> int:
    freeze = config.strategy.freeze
    language = 0 if freeze.language_model else entry.parameters - entry.vision_parameters
    vision = 0 if freeze.vision else entry.vision_parameters
    return language + vision
