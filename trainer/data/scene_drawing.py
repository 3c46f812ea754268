"""Pixels of a scene, drawn when they are needed.

The same scene at the same size is always the same pixels: edges are smoothed by arithmetic of our
own, not by a library's rasteriser, and the key names the version of this drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from trainer.data.randomness import key_digest
from trainer.data.scenes import GRID, Scene

DRAWING_VERSION = "1"
"""Raised whenever the same scene would give other pixels."""

_RGB = {
    "red": (214, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 215),
    "yellow": (240, 200, 30),
    "purple": (150, 55, 190),
    "black": (30, 30, 30),
}
_SUBPIXELS = 8  # squared, per pixel


@dataclass(frozen=True, slots=True)
class SceneImage:
    """A scene at one size, as an `ImageReference`."""

    scene: Scene
    size: int
    """Pixels per side."""

    @property
    def key(self) -> str:
        """Content key: equal keys mean equal pixels."""
        scene = self.scene
        drawn = (scene.objects, scene.clutter, scene.background)
        return f"scene-{key_digest(DRAWING_VERSION, self.size, drawn)}"

    def load(self) -> Image.Image:
        """The image in RGB, `size` by `size`."""
        return draw(self.scene, self.size)


def draw(scene: Scene, size: int = 56) -> Image.Image:
    """The scene's picture in RGB, `size` by `size` pixels."""
    image = Image.new("RGB", (size, size), (scene.background,) * 3)
    pencil = ImageDraw.Draw(image)
    thickness = max(1, size // 56)
    for mark in scene.clutter:
        x, y, other_x, other_y = (value * size // 1000 for value in mark.box)
        if mark.kind == "dot":
            pencil.rectangle((x, y, x + thickness, y + thickness), fill=(mark.grey,) * 3)
        else:
            pencil.line((x, y, other_x, other_y), fill=(mark.grey,) * 3, width=thickness)
    cell = size / GRID
    for item in scene.objects:
        diameter = round(2 * item.radius * cell / 1000)
        left = (item.column + 0.5 + item.shift_x / 1000) * cell - diameter / 2
        top = (item.row + 0.5 + item.shift_y / 1000) * cell - diameter / 2
        red, green, blue = (
            min(255, max(0, level + tint))
            for level, tint in zip(_RGB[item.colour], item.tint, strict=True)
        )
        image.paste((red, green, blue), (round(left), round(top)), _mask(item.shape, diameter))
    return image


@lru_cache(maxsize=1024)
def _mask(shape: str, diameter: int) -> Image.Image:
    """How much of each pixel a shape covers, 0 to 255."""
    fine = diameter * _SUBPIXELS
    steps = (np.arange(fine) + 0.5) * 2 / fine - 1
    inside = _covers(shape, steps[None, :], steps[:, None])
    blocks = inside.reshape(diameter, _SUBPIXELS, diameter, _SUBPIXELS)
    counts = blocks.sum(axis=(1, 3), dtype=np.int64)
    return Image.fromarray((counts * 255 // _SUBPIXELS**2).astype(np.uint8))


def _covers(shape: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of the square from -1 to 1 a shape covers; y points down."""
    covered: NDArray[np.bool_]
    if shape == "circle":
        covered = x * x + y * y <= 0.95
    elif shape == "square":
        covered = np.maximum(np.abs(x), np.abs(y)) <= 0.86
    elif shape == "triangle":
        covered = (np.abs(x) <= (y + 1) / 2) & (y <= 0.9)
    elif shape == "cross":
        covered = np.minimum(np.abs(x), np.abs(y)) <= 0.3
    elif shape == "diamond":
        covered = np.abs(x) + np.abs(y) <= 1
    else:
        raise ValueError(f"expected one of the scene shapes, got {shape!r}")
    return covered
