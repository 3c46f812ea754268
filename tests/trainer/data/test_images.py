"""Image files come out in RGB, upright and whole, or not at all."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from infra.errors import DataError
from trainer.data import images
from trainer.data.images import decode_image, open_image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def gradient(mode: str = "RGB") -> Image.Image:
    levels = np.linspace(0, 255, 32 * 32).reshape(32, 32).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(levels)] * 3).convert(mode)


def palette_with_a_hole() -> Image.Image:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((3, 3), 1)
    image.info["transparency"] = 0
    return image


@pytest.mark.parametrize(
    ("data", "corner"),
    [
        pytest.param(encoded(Image.new("L", (4, 4), 77)), (77, 77, 77), id="grey"),
        pytest.param(encoded(Image.new("1", (4, 4), 1)), (255, 255, 255), id="one bit"),
        pytest.param(encoded(Image.new("P", (4, 4), 0)), (0, 0, 0), id="palette"),
        pytest.param(encoded(palette_with_a_hole()), (255, 255, 255), id="transparent palette"),
        pytest.param(encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 0))), (255, 255, 255), id="clear"),
        pytest.param(
            encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 51))), (204, 204, 204), id="faint"
        ),
        pytest.param(encoded(Image.new("LA", (4, 4), (8, 255))), (8, 8, 8), id="grey and alpha"),
        pytest.param(
            encoded(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "TIFF"), (255, 255, 255), id="CMYK"
        ),
        pytest.param(
            encoded(Image.fromarray(np.full((4, 4), 51400, np.uint16))),
            (200, 200, 200),
            id="16 bit",
        ),
        pytest.param(
            encoded(Image.fromarray(np.full((4, 4), 51400, np.int32)), "TIFF"),
            (200, 200, 200),
            id="16 bit in 32",
        ),
        pytest.param(
            encoded(Image.fromarray(np.full((4, 4), 200, np.float32)), "TIFF"),
            (200, 200, 200),
            id="float",
        ),
    ],
)
def test_every_colour_mode_becomes_rgb(data: bytes, corner: tuple[int, int, int]) -> None:
    image = decode_image(data, "it")

    assert image.mode == "RGB"
    assert image.getpixel((0, 0)) == pytest.approx(corner, abs=1)


def test_a_camera_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees

    assert decode_image(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif), "it").size == (4, 8)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_turn_of_a_camera_is_pillow_s_own(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    noise = np.random.default_rng(0).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), exif=exif)

    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))

    assert decode_image(data, "it").tobytes() == expected.tobytes()


def test_a_camera_that_writes_a_number_as_text_is_heard_all_the_same() -> None:
    width, turn = (0x0100, 2, 1, b"8\0\0\0"), (0x0112, 3, 1, b"\6\0\0\0")
    resolution = (0x011A, 2, 1, b"7\0\0\0")
    tags = [struct.pack("<HHI", *tag[:3]) + tag[3] for tag in (width, turn, resolution)]
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(tags) + bytes(4)

    assert decode_image(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif), "it").size == (4, 8)


def test_an_animation_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert decode_image(data, "it").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_named_and_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)

    with pytest.raises(DataError, match=r"broken\.it is corrupt"):
        decode_image(data[: int(len(data) * share)], "broken.it")


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="corrupt or no image"):
        decode_image(data, "it")


@pytest.mark.parametrize(("name", "kind"), [("it.jpg", "PNG"), ("it.png", "JPEG"), ("it", "WEBP")])
def test_a_file_s_ending_says_nothing_of_its_format(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(encoded(Image.new("RGB", (4, 4), (9, 9, 9)), kind))

    assert open_image(tmp_path / name).load().getpixel((0, 0)) == pytest.approx((9, 9, 9), abs=2)


def test_text_under_the_name_of_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it.png").write_text("How many circles?")

    with pytest.raises(DataError, match=r"it\.png is corrupt or no image"):
        open_image(tmp_path / "it.png")


def test_an_unreasonably_large_image_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)

    with pytest.raises(DataError, match="32 x 32 pixels; at most 1,000"):
        decode_image(encoded(gradient()), "it")


def test_a_decompression_bomb_is_refused() -> None:
    # One bit per pixel compresses 400 million of them to a few kilobytes.
    bomb = encoded(Image.new("1", (20_000, 20_000)))

    with pytest.raises(DataError, match="unreasonably large"):
        decode_image(bomb, "bomb.png")


def test_equal_bytes_are_the_same_image_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("one.png", "other.png"):
        (tmp_path / name).write_bytes(encoded(gradient()))
    (tmp_path / "third.png").write_bytes(encoded(Image.new("RGB", (4, 4))))

    one, other, third = (open_image(tmp_path / n) for n in ("one.png", "other.png", "third.png"))
    assert one.key == other.key != third.key
    assert one.load().tobytes() == other.load().tobytes()


def test_a_file_that_changes_after_it_was_opened_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    path.write_bytes(encoded(gradient()))
    opened = open_image(path)

    path.write_bytes(encoded(Image.new("RGB", (4, 4))))
    with pytest.raises(DataError, match=r"it\.png has changed"):
        opened.load()
    assert open_image(path).key != opened.key


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        open_image(tmp_path / name)


def test_a_broken_file_passes_unchecked_and_fails_when_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(encoded(gradient())[:60])

    with pytest.raises(DataError):
        open_image(path)
    with pytest.raises(DataError, match=r"broken\.png is corrupt"):
        open_image(path, check=False).load()
