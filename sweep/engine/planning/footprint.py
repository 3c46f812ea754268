"""What a trial takes of a device's memory and of the store, by the trainer's own estimate.

The trainer keeps weights in float32 whatever it computes in, so that is what is stored too.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainer.backbone_entries import BackboneEntry
from trainer.catalog import lookup
from trainer.config import TrainerConfig
from trainer.devices import Devices, settled_on
from trainer.memory import GIB, estimate_memory, process_gib
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
        config,
        entry,
        row_tokens=row_tokens(config, tokens),
        image_tokens=tokens.image,
        accelerated=_is_accelerator(device),
    )
    trained = _trained_parameters(config, entry)
    return Footprint(
        device_gib=estimate.total / GIB + process_gib(accelerated=_is_accelerator(device)),
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
        shared = config.machine.trials_per_gpu
        gib, most = self.gib / shared, 1 if shared > 1 else self.max_workers
        if footprint(config, device=self.device).device_gib <= gib:
            return config
        return _settled(config, device=self.device, gib=gib, max_workers=most)


def fitting_layout(
    config: TrainerConfig, *, device: str, gib: float, max_workers: int
) -> dict[str, object]:
    """Settings of `machine` under which a trial fits devices of so much memory, that differ.

    Raises:
        InputError: If nothing fits; says how much the smallest layout would take.
    """
    settled = _settled(config, device=device, gib=gib, max_workers=max_workers)
    before = config.machine.model_dump()
    after = settled.machine.model_dump()
    return {key: value for key, value in after.items() if value != before[key]}


def _settled(config: TrainerConfig, *, device: str, gib: float, max_workers: int) -> TrainerConfig:
    devices = Devices(count=max_workers, gib=gib, accelerated=_is_accelerator(device))
    return settled_on(devices, config)


def _is_accelerator(device: str) -> bool:
    return device != "cpu-core"


def _trained_parameters(config: TrainerConfig, entry: BackboneEntry) -> int:
    freeze = config.strategy.freeze
    language = 0 if freeze.language_model else entry.parameters - entry.vision_parameters
    vision = 0 if freeze.vision else entry.vision_parameters
    return language + vision
