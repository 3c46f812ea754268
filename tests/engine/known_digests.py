"""Digests of data and backbones that a test may know without any data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.config import BackboneConfig, DataConfig


@dataclass
class KnownDigests:
    """One digest per source and backbone name; those named unknown are not on this machine."""

    unknown: tuple[str, ...] = ()
    asked: int = 0

    def data(self, config: DataConfig) -> Mapping[str, str] | None:
        self.asked += 1
        names = [name for name, weight in config.weights.items() if weight > 0]
        if set(names) & set(self.unknown):
            return None
        return {name: f"digest of {name}" for name in names}

    def backbone(self, config: BackboneConfig) -> str | None:
        self.asked += 1
        return None if config.scale in self.unknown else f"digest of {config.family} {config.scale}"
