"""The `digits` source: questions about the handwritten digits that scikit-learn ships.

Real images (1797, eight by eight, enlarged smoothly): some questions ask only to see the digit,
some to reason about it. A group is an image. For every question a second digit is drawn, and what
would have been right for it is the wrong answer: swapping the two gives an equally likely question.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from infra.errors import MissingError
from trainer.data.generated import DrawnGroup, GeneratedSettings, GeneratedSource
from trainer.data.items import PreferenceItem
from trainer.data.questions import Question, question_item
from trainer.data.randomness import Draws
from trainer.data.splits import split_of
from trainer.data.wording import number_word, with_article
from trainer.evaluation_config import Split

Category = Literal["digit", "parity", "larger", "sum"]

_LARGEST_ADDED = 5


class DigitSettings(GeneratedSettings):
    """Settings of the `digits` source."""

    image_size: Annotated[int, Field(ge=16, le=1024)] = 56
    """Pixels per side."""
    categories: Annotated[tuple[Category, ...], Field(min_length=1)] = (
        "digit", "parity", "larger", "sum",
    )  # fmt: skip
    """Kinds of question; `digit` is perception, the others reason about the digit."""


@dataclass(frozen=True, slots=True)
class DigitImage:
    """One handwritten digit, enlarged, as an `ImageReference`."""

    pixels: bytes
    """Sixty-four grey levels from 0 to 16, row by row."""
    size: int

    @property
    def key(self) -> str:
        """Content key: equal keys mean equal pixels."""
        return f"digit-{self.size}-{hashlib.sha256(self.pixels).hexdigest()}"

    def load(self) -> Image.Image:
        """The digit in RGB, white on black, `size` by `size`."""
        levels = np.frombuffer(self.pixels, dtype=np.uint8).reshape(8, 8)
        small = Image.fromarray((levels.astype(np.uint16) * 255 // 16).astype(np.uint8))
        return small.resize((self.size, self.size), Image.Resampling.BICUBIC).convert("RGB")


class DigitSource(GeneratedSource[DigitSettings]):
    """One question per category about each of 1797 images; about 1400 images are for training."""

    settings_type = DigitSettings
    kind = "digits"
    version = "1"

    def groups(self, seed: int) -> Iterator[DrawnGroup]:
        """One group per image, in an order of the seed's own."""
        for pixels, digit in Draws("digits", seed).shuffled(handwritten_digits()):
            group_id = _group_of(pixels)
            yield group_id, partial(self._ask, pixels, digit, group_id)

    def size(self, split: Split) -> int:
        """A question of every category about each of a split's images."""
        shown = sum(split_of(_group_of(pixels)) == split for pixels, _ in handwritten_digits())
        return shown * len(self.settings.categories)

    def _ask(self, pixels: bytes, digit: int, group_id: str) -> list[PreferenceItem]:
        image = DigitImage(pixels, self.settings.image_size)
        return [
            question_item(
                _ASKERS[category](digit, Draws("digit question", group_id, category)),
                item_id=f"{group_id}-{category}",
                group_id=group_id,
                source=self.kind,
                images=(image,),
            )
            for category in self.settings.categories
        ]


def _group_of(pixels: bytes) -> str:
    return f"digit-{hashlib.sha256(pixels).hexdigest()[:20]}"


@cache
def handwritten_digits() -> tuple[tuple[bytes, int], ...]:
    """The bundled images as 64 bytes each (levels 0 to 16), with the digit each shows."""
    rows = np.loadtxt(_digits_file(), delimiter=",", dtype=np.uint8)
    return tuple((row[:-1].tobytes(), int(row[-1])) for row in rows)


def _digits_file() -> Path:
    # Only the file is wanted: to import scikit-learn takes 2 s, of every trial.
    found = importlib.util.find_spec("sklearn")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            return path
    raise MissingError(
        "expected the handwritten digits that scikit-learn ships; install scikit-learn, or train "
        "without the source `digits`"
    )


def _another(digit: int, draws: Draws) -> int:
    return (digit + draws.between(1, 9)) % 10


def _ask_digit(digit: int, draws: Draws) -> Question:
    form = draws.pick(("This is digit {}.", "The digit is {}.", "It is {}."))
    return Question(
        category="digit",
        prompt=draws.pick(("Which digit is this?", "What digit is shown?", "Read the digit.")),
        right=form.format(number_word(digit)),
        wrong=form.format(number_word(_another(digit, draws))),
        evidence=f"The image shows {with_article(number_word(digit))}",
    )


def _ask_parity(digit: int, draws: Draws) -> Question:
    asked = draws.pick(("even", "odd"))
    is_so = (digit % 2 == 0) == (asked == "even")
    answers = f"Yes, it is {asked}.", f"No, it is not {asked}."
    right, wrong = answers if is_so else reversed(answers)
    return Question(
        category="parity",
        prompt=draws.pick((f"Is this digit {asked}?", f"Is the digit in the image {asked}?")),
        right=right,
        wrong=wrong,
        evidence=f"The image shows {with_article(number_word(digit))}",
    )


def _ask_larger(digit: int, draws: Draws) -> Question:
    # The bound lies between the digit and another one, so above and below are equally likely
    # whatever the bound; with a bound drawn freely its word alone would give the answer away.
    low, high = sorted((digit, _another(digit, draws)))
    bound = draws.between(low, high - 1)
    answers = (
        f"Yes, it is larger than {number_word(bound)}.",
        f"No, it is not larger than {number_word(bound)}.",
    )
    right, wrong = answers if digit > bound else reversed(answers)
    return Question(
        category="larger",
        prompt=f"Is this digit larger than {number_word(bound)}?",
        right=right,
        wrong=wrong,
        evidence=f"The image shows {with_article(number_word(digit))}",
    )


def _ask_sum(digit: int, draws: Draws) -> Question:
    added = draws.between(1, _LARGEST_ADDED)
    plus = number_word(added)
    form = draws.pick(("The sum is {}.", f"This digit plus {plus} is {{}}."))
    right = number_word(digit + added)
    return Question(
        category="sum",
        prompt=f"What is this digit plus {plus}?",
        right=form.format(right),
        wrong=form.format(number_word(_another(digit, draws) + added)),
        evidence=f"{number_word(digit).capitalize()} plus {plus} is {right}",
    )


_ASKERS: dict[Category, Callable[[int, Draws], Question]] = {
    "digit": _ask_digit,
    "parity": _ask_parity,
    "larger": _ask_larger,
    "sum": _ask_sum,
}
