"""Scenes are what their difficulty says, and their pictures show them."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trainer.data.randomness import Draws
from trainer.data.scene_drawing import DRAWING_VERSION, SceneImage, draw
from trainer.data.scenes import (
    COLOURS,
    LEVELS,
    SCENES_VERSION,
    SHAPES,
    Difficulty,
    Scene,
    cell_labels,
    describe,
    draw_scene,
    iterate_scenes,
)
from trainer.data.splits import split_of

difficulties = st.sampled_from(sorted(LEVELS))
seeds = st.integers(0, 2**32)


def scene_of(seed: int, difficulty: Difficulty = "medium") -> Scene:
    return draw_scene(Draws("test", seed), difficulty)


@given(seeds, difficulties)
def test_a_scene_has_as_many_objects_and_marks_as_its_difficulty_says(
    seed: int, difficulty: Difficulty
) -> None:
    scene = scene_of(seed, difficulty)
    level = LEVELS[difficulty]

    assert level.objects[0] <= len(scene.objects) <= level.objects[1]
    assert level.counted[0] <= scene.count(scene.counted) <= level.counted[1]
    assert level.marks[0] <= len(scene.clutter) <= level.marks[1]
    assert len({(item.row, item.column) for item in scene.objects}) == len(scene.objects)


@given(seeds, difficulties, st.sampled_from([28, 56, 112, 224]))
def test_every_object_stays_inside_its_cell(seed: int, difficulty: Difficulty, size: int) -> None:
    scene = scene_of(seed, difficulty)
    bare = Scene(scene.objects, (), 255, scene.counted, difficulty)
    shown = np.asarray(draw(bare, size)) != 255
    cell = size // 4

    occupied = {(item.row, item.column) for item in scene.objects}
    for row in range(4):
        for column in range(4):
            block = shown[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
            assert block.any() == ((row, column) in occupied)


@given(seeds)
def test_an_image_is_a_function_of_its_key(seed: int) -> None:
    first, again = SceneImage(scene_of(seed), 56), SceneImage(scene_of(seed), 56)
    larger, other = SceneImage(scene_of(seed), 84), SceneImage(scene_of(seed + 1), 56)

    assert first.key == again.key
    assert first.load().tobytes() == again.load().tobytes()
    assert len({first.key, larger.key, other.key}) == 3
    assert larger.load().size == (84, 84)


def test_a_group_is_what_is_seen_whatever_its_size() -> None:
    assert SceneImage(scene_of(1), 56).scene.group_id == SceneImage(scene_of(1), 84).scene.group_id
    assert scene_of(1).group_id != scene_of(2).group_id


def test_the_drawing_has_not_changed_without_its_version() -> None:
    pixels = hashlib.sha256()
    for seed in range(50):
        pixels.update(draw(scene_of(seed, "hard"), 56).tobytes())
        pixels.update(draw(scene_of(seed, "easy"), 112).tobytes())

    # When this fails, raise DRAWING_VERSION (or SCENES_VERSION) and write the new digest here.
    assert (SCENES_VERSION, DRAWING_VERSION) == ("1", "1")
    assert pixels.hexdigest()[:16] == "976161fc0683c635"


def test_colours_and_shapes_are_equally_common() -> None:
    scenes = [scene_of(seed, "hard") for seed in range(3000)]
    items = [item for scene in scenes for item in scene.objects]
    colours, shapes = Counter(x.colour for x in items), Counter(x.shape for x in items)

    assert set(colours) == set(COLOURS)
    assert set(shapes) == set(SHAPES)
    for counts in (colours, shapes):
        shares = np.array(list(counts.values())) / len(items)
        assert shares == pytest.approx(1 / len(counts), abs=0.02)


def test_cell_labels_and_captions_tell_what_is_there() -> None:
    scene = scene_of(11)
    labels = cell_labels(scene)

    assert len(labels) == 16
    assert sum(label != (0, 0) for label in labels) == len(scene.objects)
    for item in scene.objects:
        shape, colour = labels[item.row * 4 + item.column]
        assert (SHAPES[shape - 1], COLOURS[colour - 1]) == (item.shape, item.colour)
        assert all(item.name in caption for caption in describe(scene)[:1])
    assert len(describe(scene)) == 1 + len(scene.objects)


def test_scenes_for_pretraining_come_from_one_split() -> None:
    scenes = list(islice(iterate_scenes("easy", split="validation"), 20))

    assert {split_of(scene.group_id) for scene in scenes} == {"validation"}


def test_a_person_can_tell_the_colours_apart() -> None:
    """The six colours stay apart by more than the tint moves them."""
    means: dict[str, list[np.ndarray]] = {colour: [] for colour in COLOURS}
    for seed in range(300):
        scene = scene_of(seed)
        image = draw(scene)
        for item in scene.objects:
            centre = [
                int((place + 0.5 + shift / 1000) * 14)
                for place, shift in ((item.column, item.shift_x), (item.row, item.shift_y))
            ]
            means[item.colour].append(np.array(image.getpixel((centre[0], centre[1]))))

    centres = {colour: np.mean(values, axis=0) for colour, values in means.items()}
    for colour, values in means.items():
        for value in values:
            nearest = min(centres, key=lambda name: float(np.abs(centres[name] - value).sum()))
            assert nearest == colour


def test_drawing_gives_an_rgb_image() -> None:
    assert isinstance(draw(scene_of(0)), Image.Image)
    assert draw(scene_of(0)).mode == "RGB"
