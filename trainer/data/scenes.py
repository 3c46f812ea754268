"""Scenes: three to six coloured shapes on a four by four grid, the images of the `scenes` source.

A scene is plain numbers, drawn from a stream named by seed and index; `scene_drawing` turns it
into pixels and `scene_questions` asks about it. Every colour is as likely as every other wherever a
colour is drawn, likewise shapes and cells, and the count of the class that may be counted is drawn
before anything else: that is what keeps a question's wording from telling its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from trainer.data.randomness import Draws, key_digest
from trainer.data.splits import split_of
from trainer.evaluation_config import Split

SCENES_VERSION = "1"
"""Raised whenever the same seed and index would give another scene or another question."""

GRID = 4
SHAPES = ("circle", "square", "triangle", "cross", "diamond")
COLOURS = ("red", "green", "blue", "yellow", "purple", "black")

Difficulty = Literal["easy", "medium", "hard"]

_DRAWS_PER_SCENE = 40  # redraws until every question asked for is possible


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One shape in one cell; lengths are thousandths of a cell."""

    row: int
    column: int
    shape: str
    colour: str
    radius: int
    shift_x: int
    shift_y: int
    tint: tuple[int, int, int]
    """Added to red, green and blue."""

    @property
    def name(self) -> str:
        """Colour and shape, such as `red circle`."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A grey dot or line behind the objects; coordinates are thousandths of the image."""

    kind: Literal["dot", "line"]
    box: tuple[int, int, int, int]
    grey: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of objects: by colour, by shape, by both, or all of them."""

    colour: str | None = None
    shape: str | None = None

    def holds(self, item: SceneObject) -> bool:
        """Whether an object is of this class."""
        return self.colour in (None, item.colour) and self.shape in (None, item.shape)

    def noun(self, count: int) -> str:
        """The class in words, such as `red circle` or `blue objects`."""
        plural = {"cross": "crosses"}.get(self.shape or "", f"{self.shape or 'object'}s")
        word = (self.shape or "object") if count == 1 else plural
        return f"{self.colour} {word}" if self.colour else word


@dataclass(frozen=True)
class Scene:
    """What an image shows."""

    objects: tuple[SceneObject, ...]
    clutter: tuple[Mark, ...]
    background: int
    """Grey level."""
    counted: Kind
    """The class that may be asked for by number; see the module."""
    difficulty: Difficulty

    @cached_property
    def group_id(self) -> str:
        """Name of what is seen, the same at every image size."""
        return f"scene-{key_digest(self.objects, self.clutter, self.background)[:20]}"

    def count(self, kind: Kind) -> int:
        """How many objects are of a class."""
        return sum(kind.holds(item) for item in self.objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How hard scenes of one difficulty are."""

    objects: tuple[int, int]
    """Fewest and most."""
    counted: tuple[int, int]
    """Fewest and most of the counted class."""
    marks: tuple[int, int]
    """Fewest and most dots and lines."""
    least_gap: int
    """Cells between two objects whose places are compared."""


LEVELS: dict[Difficulty, Level] = {
    "easy": Level(objects=(3, 4), counted=(1, 3), marks=(0, 2), least_gap=2),
    "medium": Level(objects=(3, 5), counted=(0, 3), marks=(2, 5), least_gap=1),
    "hard": Level(objects=(4, 6), counted=(0, 4), marks=(5, 9), least_gap=1),
}


def draw_scene(
    draws: Draws, difficulty: Difficulty, accepts: Callable[[Scene], bool] | None = None
) -> Scene:
    """A scene; redrawn, with its numbers of objects kept, until it is accepted.

    Args:
        draws: The scene's own stream.
        difficulty: Sets numbers of objects and clutter.
        accepts: What the scene must allow. The last redraw is returned when none is accepted.
    """
    level = LEVELS[difficulty]
    total = draws.between(*level.objects)
    counted = draws.pick((_any_pair, _any_colour, _any_shape))(draws)
    number = draws.between(*level.counted)
    scene = _draw_objects(draws, difficulty, counted, (number, total))
    for _ in range(_DRAWS_PER_SCENE - 1):
        if accepts is None or accepts(scene):
            break
        scene = _draw_objects(draws, difficulty, counted, (number, total))
    return scene


def iterate_scenes(
    difficulty: Difficulty = "medium", *, seed: int = 0, split: Split = "train"
) -> Iterator[Scene]:
    """Scenes of one split without end, for pretraining; never one of another split's."""
    index = 0
    while True:
        key = ("pretraining scene", SCENES_VERSION, difficulty, seed, index)
        scene = draw_scene(Draws(*key), difficulty)
        if split_of(scene.group_id) == split:
            yield scene
        index += 1


def cell_labels(scene: Scene) -> list[tuple[int, int]]:
    """Shape and colour of each of the 16 cells, row by row.

    Returns:
        Pairs of indices from 1 into `SHAPES` and `COLOURS`; (0, 0) is an empty cell.
    """
    labels = [(0, 0)] * (GRID * GRID)
    for item in scene.objects:
        place = item.row * GRID + item.column
        labels[place] = (SHAPES.index(item.shape) + 1, COLOURS.index(item.colour) + 1)
    return labels


def describe(scene: Scene) -> list[str]:
    """True captions: one sentence listing the objects row by row, and one per object's place."""
    ordered = sorted(scene.objects, key=lambda item: (item.row, item.column))
    names = [f"a {item.name}" for item in ordered]
    captions = [f"The image shows {', '.join(names[:-1])} and {names[-1]}."]
    captions += [f"There is a {item.name} in the {place_of(item)}." for item in ordered]
    return captions


def place_of(item: SceneObject) -> str:
    """The quarter of the image an object is in, such as `top left`."""
    vertical = "top" if item.row < GRID // 2 else "bottom"
    return f"{vertical} {'left' if item.column < GRID // 2 else 'right'}"


def _any_pair(draws: Draws) -> Kind:
    return Kind(colour=draws.pick(COLOURS), shape=draws.pick(SHAPES))


def _any_colour(draws: Draws) -> Kind:
    return Kind(colour=draws.pick(COLOURS))


def _any_shape(draws: Draws) -> Kind:
    return Kind(shape=draws.pick(SHAPES))


def _draw_objects(
    draws: Draws, difficulty: Difficulty, counted: Kind, numbers: tuple[int, int]
) -> Scene:
    number, total = numbers
    cells = draws.shuffled(range(GRID * GRID))[:total]
    level = LEVELS[difficulty]
    return Scene(
        objects=tuple(
            _draw_object(draws, cell, counted, index < number) for index, cell in enumerate(cells)
        ),
        clutter=tuple(_draw_mark(draws) for _ in range(draws.between(*level.marks))),
        background=draws.between(228, 250),
        counted=counted,
        difficulty=difficulty,
    )


def _draw_object(draws: Draws, cell: int, counted: Kind, is_counted: bool) -> SceneObject:
    while True:
        colour, shape = draws.pick(COLOURS), draws.pick(SHAPES)
        if is_counted:
            colour, shape = counted.colour or colour, counted.shape or shape
            break
        outside_colour = counted.colour is not None and colour != counted.colour
        outside_shape = counted.shape is not None and shape != counted.shape
        if outside_colour or outside_shape:
            break
    radius = draws.between(340, 410)
    room = 470 - radius
    return SceneObject(
        row=cell // GRID,
        column=cell % GRID,
        shape=shape,
        colour=colour,
        radius=radius,
        shift_x=draws.between(-room, room),
        shift_y=draws.between(-room, room),
        tint=(draws.between(-18, 18), draws.between(-18, 18), draws.between(-18, 18)),
    )


def _draw_mark(draws: Draws) -> Mark:
    x, y = draws.below(1000), draws.below(1000)
    grey = draws.between(165, 205)
    if draws.coin():
        return Mark("dot", (x, y, x, y), grey)
    return Mark("line", (x, y, x + draws.between(-220, 220), y + draws.between(-220, 220)), grey)
