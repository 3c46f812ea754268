"""Whether an answer about a scene is true, worked out from the words and the objects alone.

Written apart from the question generator: it reads the sentences as a person would.
"""

from __future__ import annotations

import re

from trainer.data.scenes import COLOURS, SHAPES, Scene, SceneObject

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven")


def is_true(scene: Scene, prompt: str, answer: str) -> bool:
    """Whether the answer to the prompt is right."""
    words = answer.removesuffix(".")
    if words.startswith(("Yes, ", "No, ")):
        return _yes_or_no(scene, words)
    if match := re.fullmatch(r"There are (more|fewer) (.+)", words):
        return _compared(scene, prompt, match[1], match[2])
    if match := re.fullmatch(r"There (?:is|are) (\w+) (.+)", words):
        return len(_matching(scene, match[2])) == _NUMBERS.index(match[1])
    if " is in the " in words:
        name, place = words.removeprefix("The ").split(" is in the ")
        return _lies_in(_only(scene, name), place)
    if match := re.fullmatch(r"The (.+) is (left of|right of|above|below) the (.+)", words):
        return _related(_only(scene, match[1]), match[2], _only(scene, match[3]))
    return _described(scene, prompt, words)


def _yes_or_no(scene: Scene, words: str) -> bool:
    verdict, _, rest = words.partition(", ")
    says_yes = verdict == "Yes"
    if match := re.fullmatch(r"the (.+) is (?:not )?(left of|right of|above|below) the (.+)", rest):
        assert (" is not " in rest) != says_yes
        return _related(_only(scene, match[1]), match[2], _only(scene, match[3])) == says_yes
    name = re.fullmatch(r"there is (?:a|no) (.+)", rest)
    assert name is not None, rest
    return bool(_matching(scene, name[1])) == says_yes


def _compared(scene: Scene, prompt: str, word: str, noun: str) -> bool:
    named = re.fullmatch(r".*?(?:more|fewer),? (.+) or (.+)\?", prompt)
    assert named is not None, prompt
    other = named[2] if named[1] == noun else named[1]
    assert noun in (named[1], named[2])
    assert word in prompt
    here, there = len(_matching(scene, noun)), len(_matching(scene, other))
    return here > there if word == "more" else here < there


def _described(scene: Scene, prompt: str, words: str) -> bool:
    """Colour or shape of the one object that the prompt is about."""
    said = set(re.findall(r"\w+", words))
    asked = set(re.findall(r"\w+", prompt))
    colours, shapes = set(COLOURS), set(SHAPES)
    if asked & shapes:
        target = _only(scene, (asked & shapes).pop())
        return said & colours == {target.colour}
    target = _only(scene, f"{(asked & colours).pop()} object")
    return said & shapes == {target.shape}


def _matching(scene: Scene, noun: str) -> list[SceneObject]:
    words = noun.split()
    shape = words[-1].removesuffix("es") if words[-1] == "crosses" else words[-1].removesuffix("s")
    if words[-1] == "cross":
        shape = "cross"
    colour = words[0] if len(words) == 2 else None
    assert shape in (*SHAPES, "object"), noun
    assert colour is None or colour in COLOURS, noun
    return [
        item
        for item in scene.objects
        if shape in ("object", item.shape) and colour in (None, item.colour)
    ]


def _only(scene: Scene, noun: str) -> SceneObject:
    found = _matching(scene, noun)
    assert len(found) == 1, (noun, found)
    return found[0]


def _lies_in(item: SceneObject, place: str) -> bool:
    x, y = item.column + 0.5 + item.shift_x / 1000, item.row + 0.5 + item.shift_y / 1000
    true = {"left": x < 2, "right": x > 2, "top": y < 2, "bottom": y > 2}
    return all(true[word] for word in place.split() if word != "half")


def _related(first: SceneObject, relation: str, other: SceneObject) -> bool:
    x = (first.column + first.shift_x / 1000) - (other.column + other.shift_x / 1000)
    y = (first.row + first.shift_y / 1000) - (other.row + other.shift_y / 1000)
    return {"left of": x < 0, "right of": x > 0, "above": y < 0, "below": y > 0}[relation]
