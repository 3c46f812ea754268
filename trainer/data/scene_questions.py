"""Questions about a scene, each with its right answer, a plausible wrong one, and the evidence.

Swapping right and wrong gives an equally likely question: yes and no come from a fair coin, other
answers from draws that treat them alike. So the words alone tell nothing, and only the image does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from trainer.data.questions import Question
from trainer.data.randomness import Draws
from trainer.data.scenes import (
    COLOURS,
    LEVELS,
    SHAPES,
    Difficulty,
    Kind,
    Scene,
    SceneObject,
    place_of,
)
from trainer.data.wording import number_word

CATEGORY_WEIGHTS: dict[Difficulty, dict[str, float]] = {
    "easy": dict(colour=3, shape=3, exists=3, position=2, count=1),
    "medium": dict(colour=2, shape=2, exists=2, position=2, count=2, relation=2, compare=1),
    "hard": dict(colour=1, shape=1, exists=2, position=2, count=3, relation=3, compare=2),
}
"""Share of the questions by category, unless the settings say otherwise."""


def ask(scene: Scene, category: str, draws: Draws) -> Question | None:
    """A question of one of the `CATEGORIES`, or none where the scene allows none."""
    return _ASKERS[category](scene, draws) if allows(scene, category) else None


def questions(scene: Scene, *, seed: int = 0) -> list[Question]:
    """One question of every category the scene allows."""
    draws = Draws("scene questions", scene.group_id, seed)
    asked = [ask(scene, category, draws) for category in CATEGORIES]
    return [question for question in asked if question is not None]


def allows(scene: Scene, category: str) -> bool:
    """Whether a question of a category can be asked about a scene."""
    return category not in _TARGETS or bool(_TARGETS[category](scene))


def _ask_count(scene: Scene, draws: Draws) -> Question:
    level = LEVELS[scene.difficulty]
    everything = draws.coin(0.2)
    kind, (low, high) = (Kind(), level.objects) if everything else (scene.counted, level.counted)
    right = scene.count(kind)
    wrong = draws.pick([number for number in range(low, high + 1) if number != right])
    prompt = draws.pick(
        (
            f"How many {kind.noun(2)} are there?",
            f"How many {kind.noun(2)} does the image show?",
            f"Count the {kind.noun(2)}.",
        )
    )
    return Question(
        category="count",
        prompt=prompt,
        right=_there_are(right, kind),
        wrong=_there_are(wrong, kind),
        evidence=f"The image shows {_counted(right, kind)}",
    )


def _ask_colour(scene: Scene, draws: Draws) -> Question:
    target = draws.pick(_alone_in_shape(scene))
    others = [item.colour for item in scene.objects if item.colour != target.colour]
    wrong = draws.pick(others or [colour for colour in COLOURS if colour != target.colour])
    prompt, form = draws.pick(
        (
            (f"What colour is the {target.shape}?", f"The {target.shape} is {{}}."),
            (f"Which colour does the {target.shape} have?", f"The {target.shape} is {{}}."),
            (f"What colour is the {target.shape} in the image?", "It is {}."),
        )
    )
    return Question(
        category="colour",
        prompt=prompt,
        right=form.format(target.colour),
        wrong=form.format(wrong),
        evidence=f"The image shows a {target.name}",
    )


def _ask_shape(scene: Scene, draws: Draws) -> Question:
    target = draws.pick(_alone_in_colour(scene))
    others = [item.shape for item in scene.objects if item.shape != target.shape]
    wrong = draws.pick(others or [shape for shape in SHAPES if shape != target.shape])
    prompt, form = draws.pick(
        (
            (
                f"What shape is the {target.colour} object?",
                f"The {target.colour} object is a {{}}.",
            ),
            (f"Which shape is {target.colour}?", "The {} is " + f"{target.colour}."),
            (f"What is the {target.colour} thing?", "It is a {}."),
        )
    )
    return Question(
        category="shape",
        prompt=prompt,
        right=form.format(target.shape),
        wrong=form.format(wrong),
        evidence=f"The image shows a {target.name}",
    )


def _ask_exists(scene: Scene, draws: Draws) -> Question:
    present = sorted({(item.colour, item.shape) for item in scene.objects})
    is_there = draws.coin()
    if is_there:
        colour, shape = draws.pick(present)
    else:
        colours = sorted({colour for colour, _ in present})
        shapes = sorted({shape for _, shape in present})
        near = [(c, s) for c in colours for s in shapes if (c, s) not in present]
        far = [(c, s) for c in COLOURS for s in SHAPES if (c, s) not in present]
        colour, shape = draws.pick(near or far)
    name = f"{colour} {shape}"
    prompt = draws.pick(
        (f"Is there a {name}?", f"Does the image show a {name}?", f"Can you see a {name}?")
    )
    yes, no = f"Yes, there is a {name}.", f"No, there is no {name}."
    return Question(
        category="exists",
        prompt=prompt,
        right=yes if is_there else no,
        wrong=no if is_there else yes,
        evidence=f"The image shows {'a' if is_there else 'no'} {name}",
    )


def _ask_position(scene: Scene, draws: Draws) -> Question:
    target = draws.pick(_alone_in_name(scene))
    name = target.name
    vertical, side = place_of(target).split()
    if draws.coin():
        places = [f"{v} {s}" for v in ("top", "bottom") for s in ("left", "right")]
        right = f"{vertical} {side}"
        wrong = draws.pick([place for place in places if place != right])
        prompt = draws.pick((f"Where is the {name}?", f"In which corner is the {name}?"))
    else:
        choices = draws.shuffled(("left", "right") if draws.coin() else ("top", "bottom"))
        right = side if side in choices else vertical
        wrong = choices[0] if choices[1] == right else choices[1]
        prompt = f"Is the {name} in the {choices[0]} half or the {choices[1]} half?"
        right, wrong = f"{right} half", f"{wrong} half"
    return Question(
        category="position",
        prompt=prompt,
        right=f"The {name} is in the {right}.",
        wrong=f"The {name} is in the {wrong}.",
        evidence=f"The {name} is in the {right}",
    )


def _ask_relation(scene: Scene, draws: Draws) -> Question:
    first, other, true_word, false_word = draws.pick(_comparable(scene))
    truth = f"the {first} is {true_word} the {other}"
    false = f"the {first} is {false_word} the {other}"
    if draws.coin():
        words = [word.removesuffix(" of") for word in draws.shuffled((true_word, false_word))]
        of = " of" if true_word.endswith(" of") else ""
        return Question(
            category="relation",
            prompt=f"Is the {first} {words[0]} or {words[1]}{of} the {other}?",
            right=f"T{truth[1:]}.",
            wrong=f"T{false[1:]}.",
            evidence=f"T{truth[1:]}",
        )
    is_so = draws.coin()
    asked = true_word if is_so else false_word
    yes = f"Yes, the {first} is {asked} the {other}."
    no = f"No, the {first} is not {asked} the {other}."
    return Question(
        category="relation",
        prompt=f"Is the {first} {asked} the {other}?",
        right=yes if is_so else no,
        wrong=no if is_so else yes,
        evidence=f"T{truth[1:]}",
    )


def _ask_compare(scene: Scene, draws: Draws) -> Question:
    more, fewer = draws.pick(_unequal(scene))
    first, second = draws.shuffled((more, fewer))
    asks_more = draws.coin()
    word = "more" if asks_more else "fewer"
    right, wrong = (more, fewer) if asks_more else (fewer, more)
    prompt = draws.pick(
        (
            f"Are there {word} {first.noun(2)} or {second.noun(2)}?",
            f"Which are {word}, {first.noun(2)} or {second.noun(2)}?",
        )
    )
    many, few = scene.count(more), scene.count(fewer)
    return Question(
        category="compare",
        prompt=prompt,
        right=f"There are {word} {right.noun(2)}.",
        wrong=f"There are {word} {wrong.noun(2)}.",
        evidence=f"I see {_counted(many, more)} and {_counted(few, fewer)}",
    )


def _counted(number: int, kind: Kind) -> str:
    return f"{number_word(number) if number else 'no'} {kind.noun(number)}"


def _there_are(number: int, kind: Kind) -> str:
    return f"There {'is' if number == 1 else 'are'} {_counted(number, kind)}."


def _alone_in(attribute: str) -> Callable[[Scene], list[SceneObject]]:
    def find(scene: Scene) -> list[SceneObject]:
        values = [getattr(item, attribute) for item in scene.objects]
        return [item for item in scene.objects if values.count(getattr(item, attribute)) == 1]

    return find


_alone_in_shape, _alone_in_colour, _alone_in_name = map(_alone_in, ("shape", "colour", "name"))


def _comparable(scene: Scene) -> list[tuple[str, str, str, str]]:
    """Two objects' names, how the first lies to the second, and the opposite."""
    gap = LEVELS[scene.difficulty].least_gap
    found = []
    named = _alone_in_name(scene)
    for first in named:
        for other in named:
            if other.column - first.column >= gap:
                found.append((first.name, other.name, "left of", "right of"))
                found.append((other.name, first.name, "right of", "left of"))
            if other.row - first.row >= gap:
                found.append((first.name, other.name, "above", "below"))
                found.append((other.name, first.name, "below", "above"))
    return found


def _unequal(scene: Scene) -> list[tuple[Kind, Kind]]:
    """Pairs of classes that are both there, the more numerous first."""
    colours = [(Kind(colour=colour), number) for colour, number in _numbers(scene, "colour")]
    shapes = [(Kind(shape=shape), number) for shape, number in _numbers(scene, "shape")]
    return [
        (more, fewer)
        for kinds in (colours, shapes)
        for more, many in kinds
        for fewer, few in kinds
        if many > few
    ]


def _numbers(scene: Scene, attribute: Literal["colour", "shape"]) -> list[tuple[str, int]]:
    """How many objects are of each colour or shape, of those there are, in the words' order."""
    present = [getattr(item, attribute) for item in scene.objects]
    words = COLOURS if attribute == "colour" else SHAPES
    return [(word, present.count(word)) for word in words if word in present]


_ASKERS: dict[str, Callable[[Scene, Draws], Question]] = {
    "colour": _ask_colour,
    "shape": _ask_shape,
    "exists": _ask_exists,
    "position": _ask_position,
    "count": _ask_count,
    "relation": _ask_relation,
    "compare": _ask_compare,
}
_TARGETS: dict[str, Callable[[Scene], Sequence[object]]] = {
    "colour": _alone_in_shape,
    "shape": _alone_in_colour,
    "position": _alone_in_name,
    "relation": _comparable,
    "compare": _unequal,
}
CATEGORIES = tuple(_ASKERS)
