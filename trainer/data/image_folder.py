"""The images of a source's rows: files that really lie in one folder, or bytes in the row."""

from __future__ import annotations

from pathlib import Path

from infra.errors import DataError
from trainer.data.images import EncodedImage, FileImage, open_encoded, open_image
from trainer.data.pair_rows import Reason

RowImage = FileImage | EncodedImage


def open_row_image(folder: Path, image: str | bytes, *, check: bool) -> RowImage | Reason:
    """A row's image, or why it cannot be had."""
    if isinstance(image, str):
        return open_inside(folder, image, check=check)
    try:
        return open_encoded(image, check=check)
    except DataError:
        return Reason.CORRUPT_IMAGE


def open_inside(folder: Path, name: str, *, check: bool) -> FileImage | Reason:
    """The image file of this name; only files that really lie in the folder are opened."""
    written = Path(name.replace("\\", "/"))
    if written.is_absolute() or written.drive or ".." in written.parts:
        return Reason.OUTSIDE
    try:
        path = (folder / written).resolve()
        if not path.is_relative_to(folder):
            return Reason.OUTSIDE  # through a symbolic link
        if not path.is_file():
            return Reason.MISSING_IMAGE
    except (OSError, ValueError, RuntimeError):  # a name too long, or links in a circle
        return Reason.MISSING_IMAGE
    try:
        return open_image(path, check=check)
    except DataError:
        return Reason.CORRUPT_IMAGE
