"""Images in files: named by their content, decoded to RGB under guard.

Whatever is wrong with a file (absent, truncated, not an image, unreasonably large) is a `DataError`
that names it. Transparency is laid on white and a camera's rotation is applied, so that the same
file looks the same to every backbone.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image
from typing_extensions import Buffer

from infra.errors import DataError

MAX_PIXELS = 64_000_000
"""Larger images are refused before they are decoded: 64 million pixels take 192 MB."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the number a camera writes."""


@dataclass(frozen=True, slots=True)
class FileImage:
    """An image file, as an `ImageReference`."""

    path: Path
    sha256: str
    """Of the file's bytes."""

    @property
    def key(self) -> str:
        """Content key: equal keys mean equal pixels."""
        return f"file-{self.sha256}"

    def load(self) -> Image.Image:
        """The image in RGB.

        Raises:
            DataError: If it cannot be read, or is no longer the file that was opened.
        """
        data = _read(self.path)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise DataError(
                f"image {self.path} has changed since its source was read; put it back, or `touch` "
                "the file of rows that names it, so that the source is read anew"
            )
        return decode_image(data, str(self.path))


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image whose encoded bytes came in a row, as an `ImageReference`."""

    data: Buffer = field(compare=False, repr=False)
    """Of an index on disk: where the file is mapped, so that only decoding reads it."""
    sha256: str

    @property
    def key(self) -> str:
        """Content key: the same as of a file with these bytes."""
        return f"file-{self.sha256}"

    def load(self) -> Image.Image:
        """The image in RGB.

        Raises:
            DataError: If it cannot be read.
        """
        return decode_image(self.data, f"with digest {self.sha256[:12]}")


def open_encoded(data: bytes, *, check: bool = True) -> EncodedImage:
    """The image these bytes hold.

    Raises:
        DataError: If they cannot be decoded, with `check`.
    """
    digest = hashlib.sha256(data).hexdigest()
    if check:
        decode_image(data, f"with digest {digest[:12]}")
    return EncodedImage(data, digest)


def open_image(path: Path, *, check: bool = True) -> FileImage:
    """The image in a file.

    Args:
        path: Where the file is.
        check: Decode it once now, so that a broken file is found before training starts.

    Raises:
        DataError: If the file cannot be read or, with `check`, decoded.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"image {path} cannot be read: {error.strerror or error}") from error
    return _open_unchanged(path, state.st_mtime_ns, state.st_size, check)


def decode_image(data: Buffer, name: str) -> Image.Image:
    """The image these bytes hold, in RGB, upright, transparency on white.

    Args:
        data: An encoded image in any format Pillow reads; of an animation, the first frame.
        name: What to call it in errors.

    Raises:
        DataError: If the bytes are no whole image, or one of more than `MAX_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"image {name} has {width} x {height} pixels; at most {MAX_PIXELS:,} are "
                    "decoded: scale it down"
                )
            image.load()
            return _to_rgb(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"image {name} is unreasonably large: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
        # Pillow's decoders report broken files with all of these.
        raise DataError(f"image {name} is corrupt or no image: {error}") from error


@lru_cache(maxsize=65536)
def _open_unchanged(path: Path, modified_ns: int, size: int, check: bool) -> FileImage:
    """Keyed by the file's state, so that each is hashed and decoded once per process."""
    data = _read(path)
    if check:
        decode_image(data, str(path))
    return FileImage(path, hashlib.sha256(data).hexdigest())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"image {path} cannot be read: {error.strerror or error}") from error


def _upright(image: Image.Image) -> Image.Image:
    # Pillow's own `exif_transpose` writes all else that the camera said anew, and ends in errors of
    # any kind where a number was written as text.
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        levels = np.asarray(image, dtype=np.float64)
        top = levels.max(initial=0.0)
        scaled = levels * (255 / 65535 if top > 255 else 1)  # 16-bit levels in a wider container
        return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        backdrop = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(backdrop, layer).convert("RGB")
    return image.convert("RGB")
