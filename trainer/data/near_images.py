"""Images that look the same though their files differ: rescaled, saved anew, converted."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from trainer.data.items import ImageReference

_SIDE = 8
_MOST_BITS_APART = 5
"""Measured on 60 cartoons: scaled to 63 % and saved as JPEG of quality 70, at most 3 bits change;
different ones are at least 11 apart."""
_LEAST_RISE = 2  # of 255; smaller ones are noise of the rescaling
_LEAST_CONTRAST = 8
"""An image with fewer edges than this is flat, and flat images all look alike."""


class NearImages:
    """Which of some images a new one looks like."""

    def __init__(self, images: Iterable[ImageReference]) -> None:
        known = (gradient_hash(image.load()) for image in images)
        self._hashes = np.array([each for each in known if each is not None], np.uint64)
        self._known: dict[str, bool] = {}

    def finds(self, image: ImageReference) -> bool:
        """Whether it looks like one of ours; each different image is decoded once."""
        if image.key not in self._known:
            hashed = gradient_hash(image.load()) if len(self._hashes) else None
            self._known[image.key] = hashed is not None and bool(
                (np.bitwise_count(self._hashes ^ hashed) <= _MOST_BITS_APART).any()
            )
        return self._known[image.key]


def gradient_hash(image: Image.Image) -> np.uint64 | None:
    """64 bits that say where an image grows brighter from left to right; nothing for a flat one."""
    small = image.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.LANCZOS)
    levels = np.asarray(small, dtype=np.int16)
    bits = np.packbits(levels[:, 1:] - levels[:, :-1] > _LEAST_RISE)
    hashed = np.uint64(int.from_bytes(bits.tobytes(), "big"))
    edges = int(np.bitwise_count(hashed))
    return hashed if _LEAST_CONTRAST <= edges <= _SIDE * _SIDE - _LEAST_CONTRAST else None
