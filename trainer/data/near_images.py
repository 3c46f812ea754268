"""Images that look the same though their files differ: rescaled, saved anew, converted."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from trainer.data.items import ImageReference

_SIDE = 8
MOST_BITS_APART = 8
"""Of 128. Measured: scaled to 63 % and saved as JPEG of quality 70, at most 8 bits change; of
different cartoons all are at least 20 apart, of drawn scenes 9, of handwritten digits 0.05 % of the
pairs are as near."""
_LEAST_RISE = 2  # of 255; smaller ones are noise of the rescaling
_LEAST_EDGES = 8
"""An image with fewer edges than this either way is flat, and flat images all look alike."""


class NearImages:
    """Which of some images a new one looks like."""

    def __init__(self, images: Iterable[ImageReference]) -> None:
        known = [gradient_hash(image.load()) for image in images]
        kept = [each for each in known if each is not None]
        self._hashes = np.stack(kept) if kept else np.zeros((0, 2), np.uint64)
        self._known: dict[str, bool] = {}

    def finds(self, image: ImageReference) -> bool:
        """Whether it looks like one of ours; each different image is decoded once."""
        if image.key not in self._known:
            hashed = gradient_hash(image.load()) if len(self._hashes) else None
            self._known[image.key] = hashed is not None and bool(
                (bits_apart(self._hashes, hashed) <= MOST_BITS_APART).any()
            )
        return self._known[image.key]


def gradient_hash(image: Image.Image) -> np.ndarray | None:
    """Where an image grows brighter, to the right and downwards: two numbers of 64 bits.

    Nothing for a flat image.
    """
    grey = image.convert("L")
    across, down = _levels(grey, _SIDE + 1, _SIDE), _levels(grey, _SIDE, _SIDE + 1)
    rises = (across[:, 1:] - across[:, :-1], down[1:] - down[:-1])
    hashed = np.array([_packed(rise > _LEAST_RISE) for rise in rises], np.uint64)
    edges = np.bitwise_count(hashed)
    flat = (edges < _LEAST_EDGES) | (edges > _SIDE * _SIDE - _LEAST_EDGES)
    return None if flat.all() else hashed


def bits_apart(hashes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """In how many of the 128 bits each of some hashes [N, 2] differs from another [2]."""
    apart: np.ndarray = np.bitwise_count(hashes ^ other).sum(axis=-1)
    return apart


def _levels(grey: Image.Image, width: int, height: int) -> np.ndarray:
    return np.asarray(grey.resize((width, height), Image.Resampling.LANCZOS), dtype=np.int16)


def _packed(bits: np.ndarray) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
