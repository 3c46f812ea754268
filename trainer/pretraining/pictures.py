"""What the tiny backbones learn from: pictures with labels per cell, and true dialogues about them.

Only training groups are drawn, from streams named for pretraining, so no picture of a sweep's
validation or test items is ever seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from trainer.data.digits import DigitImage, DigitSettings, DigitSource, handwritten_digits
from trainer.data.items import PreferenceItem
from trainer.data.randomness import Draws
from trainer.data.scene_drawing import draw
from trainer.data.scene_questions import questions
from trainer.data.scenes import Difficulty, Scene, cell_labels, describe, iterate_scenes
from trainer.data.text_pairs import TextSettings, TextSource

_FRAMES = (
    "user", "assistant", "system", "Question: Answer:", "Critique:", "Better: A", "Better: B",
    "Two answers to this question follow. Say which one is better, A or B.",
    "Answer A: Answer B: First Second Which answer is better? The first. The second.",
)  # fmt: skip
"""Words around questions and answers, which deserve tokens of their own."""
_FRAME_WEIGHT = 500

DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A question and its true answer."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image, what it shows, and what can truly be said of it."""

    image: Image.Image
    cells: tuple[tuple[int, int], ...] = ()
    """Shape and colour of each of the 16 cells, row by row; empty when it is no scene."""
    digit: int | None = None
    talk: Callable[[int], list[Dialogue]]
    """Dialogues; another number gives other questions."""


def scene_pictures(count: int, *, seed: int) -> list[Picture]:
    """Scenes of all difficulties in turn."""
    streams = [iterate_scenes(level, seed=seed, split="train") for level in DIFFICULTIES]
    scenes = itertools.islice(itertools.chain.from_iterable(zip(*streams, strict=True)), count)
    return [
        Picture(
            image=draw(scene),
            cells=tuple(cell_labels(scene)),
            talk=lambda number, scene=scene: _talk_of_scene(scene, number),  # type: ignore[misc]
        )
        for scene in scenes
    ]


def digit_pictures(*, copies: int, seed: int) -> list[Picture]:
    """Every training digit, upright once and then slightly turned, moved and scaled."""
    shown = dict(handwritten_digits())
    # Two streams: other questions about the same digits.
    items = [
        item
        for stream in (seed, seed + 1)
        for item in DigitSource(DigitSettings()).items("train", 10**6, seed=stream)
    ]
    by_group: dict[str, list[PreferenceItem]] = {}
    for item in items:
        by_group.setdefault(item.group_id, []).append(item)
    rng = np.random.default_rng(seed)
    pictures = []
    for group in by_group.values():
        reference = group[0].images[0]
        if not isinstance(reference, DigitImage):
            raise TypeError(f"expected a digit, got {type(reference).__name__}")
        dialogues = [_truth(item) for item in group]
        upright = reference.load()
        pictures += [
            Picture(
                image=upright if copy == 0 else _disturbed(upright, rng),
                digit=shown[reference.pixels],
                talk=lambda number, dialogues=dialogues: dialogues,  # type: ignore[misc]
            )
            for copy in range(copies)
        ]
    return pictures


def text_dialogues(count: int, *, seed: int) -> list[Dialogue]:
    """Questions in words only."""
    return [_truth(item) for item in TextSource(TextSettings()).items("train", count, seed=seed)]


def corpus(seed: int) -> Iterator[str]:
    """Text of all sources, for the tokenizer; right and wrong answers and critiques alike."""
    for level in DIFFICULTIES:
        for scene in itertools.islice(iterate_scenes(level, seed=seed, split="train"), 400):
            yield from describe(scene)
            for question in questions(scene):
                yield from (question.prompt, question.right, question.wrong)
                yield from (question.right_critique, question.wrong_critique)
    for source in (DigitSource(DigitSettings()), TextSource(TextSettings())):
        for item in source.items("train", 3000, seed=seed):
            yield item.prompt
            for response in item.responses:
                yield from (response.text, response.critique)
    yield from _FRAMES * _FRAME_WEIGHT


def _talk_of_scene(scene: Scene, number: int) -> list[Dialogue]:
    asked = questions(scene, seed=number)
    captions = describe(scene)
    draws = Draws("pretraining captions", scene.group_id, number)
    return [
        *[Dialogue(question.prompt, question.right) for question in asked],
        Dialogue("Describe the image.", captions[0]),
        Dialogue("Say something true.", f"{draws.pick(asked).evidence}."),
        Dialogue("Name one object and its place.", draws.pick(captions[1:])),
    ]


def _truth(item: PreferenceItem) -> Dialogue:
    return Dialogue(item.prompt, min(item.responses, key=lambda response: response.rank).text)


def _disturbed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    angle, scale = np.radians(rng.uniform(-12, 12)), rng.uniform(0.9, 1.15)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    middle = image.width / 2
    shift_x, shift_y = rng.uniform(-4, 4, size=2)
    matrix: Sequence[float] = (
        cosine, sine, middle - cosine * middle - sine * middle + shift_x,
        -sine, cosine, middle + sine * middle - cosine * middle + shift_y,
    )  # fmt: skip
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
    )
