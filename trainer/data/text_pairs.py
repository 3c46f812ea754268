"""The `text` source: questions without an image, whose answers follow from a rule.

A group is what is asked, whatever the wording, so no prompt straddles splits. Within each split
right and wrong answers are drawn alike: an answer by itself does not tell whether it is right.
(Facts that follow from no rule have no place here: a held-out one could not be known, and its
answer would have been seen in training as a wrong answer only.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from typing import Literal

from pydantic import model_validator

from trainer.config import NonNegative
from trainer.data.generated import DrawnGroup, GeneratedSettings, GeneratedSource
from trainer.data.items import PreferenceItem
from trainer.data.questions import Question, question_item
from trainer.data.randomness import Draws, key_digest
from trainer.data.wording import number_word

Category = Literal["arithmetic", "larger", "repeat", "order", "choice", "odd"]

_KINDS = (
    ("red", "green", "blue", "yellow", "purple", "black"),
    ("circle", "square", "triangle", "cross", "diamond"),
    ("cat", "dog", "cow", "sheep", "horse", "bird", "fish"),
    ("bread", "milk", "apple", "cheese", "egg", "rice"),
)
_THINGS = tuple(word for words in _KINDS for word in words)
_TIMES = {1: "once", 2: "twice", 3: "three times"}
_LARGEST_TERM = 20
_LARGEST_ERROR = 5
_BLOCK = 4
_REPETITIONS = 1000  # this many in a row: every different pair has been given, or nearly


@dataclass(frozen=True, slots=True)
class _Calculation:
    sign: Literal["plus", "minus"]
    high: int
    low: int

    @property
    def result(self) -> int:
        return self.high + self.low if self.sign == "plus" else self.high - self.low


class TextSettings(GeneratedSettings):
    """Settings of the `text` source."""

    categories: tuple[Category, ...] | dict[Category, NonNegative] | None = None
    """Kinds of question: a list asks all alike, a mapping gives weights; absent, all alike."""

    @property
    def category_weights(self) -> Mapping[str, float]:
        """Share of the questions by category."""
        if isinstance(self.categories, tuple):
            return dict.fromkeys(self.categories, 1.0)
        if self.categories is None:
            return dict.fromkeys(_ASKERS, 1.0)
        return {name: weight for name, weight in self.categories.items() if weight > 0}

    @model_validator(mode="after")
    def _has_a_category(self) -> TextSettings:
        if not self.category_weights:
            raise ValueError("categories needs one with a positive weight")
        return self


class TextSource(GeneratedSource[TextSettings]):
    """Questions in words only; runs out when every different pair has been given."""

    settings_type = TextSettings
    kind = "text"
    version = "1"

    def groups(self, seed: int) -> Iterator[DrawnGroup]:
        """One item per step until every different pair has been given."""
        weights = self.settings.category_weights
        seen: set[str] = set()
        last_new = 0
        for index in count():
            draws = Draws("text", self.version, seed, index)
            fact, question = _ASKERS[draws.pick_weighted(weights)](draws)
            content = key_digest(question.prompt, question.right, question.wrong)[:20]
            group_id = f"text-{question.category}-{fact}"
            if content in seen:
                if index - last_new > _REPETITIONS:
                    return
                continue
            seen.add(content)
            last_new = index
            yield group_id, partial(self._item, question, group_id, f"text-{content}")

    def _item(self, question: Question, group_id: str, item_id: str) -> list[PreferenceItem]:
        return [question_item(question, item_id=item_id, group_id=group_id, source=self.kind)]


@cache
def _calculation_blocks() -> tuple[tuple[_Calculation, ...], ...]:
    """All calculations, in blocks of up to four with different but close results."""
    terms = range(_LARGEST_TERM + 1)
    every = [
        _Calculation(sign, high, low)
        for sign in ("plus", "minus")
        for high in terms
        for low in terms[: high + 1]
    ]
    full: list[list[_Calculation]] = []
    filling: list[list[_Calculation]] = []
    for each in Draws("calculation blocks").shuffled(every):
        fits = [
            block
            for block in filling
            if all(0 < abs(each.result - other.result) <= _LARGEST_ERROR for other in block)
        ]
        if not fits:
            filling.append([each])
            continue
        fits[0].append(each)
        if len(fits[0]) == _BLOCK:
            filling.remove(fits[0])
            full.append(fits[0])
    return tuple(tuple(block) for block in full + filling if len(block) > 1)


def _ask_arithmetic(draws: Draws) -> tuple[str, Question]:
    # A block is a group, and each of its results is as often the right answer as a wrong one.
    blocks = _calculation_blocks()
    place = draws.below(len(blocks))
    asked, other = draws.shuffled(blocks[place])[:2]
    right, wrong = asked.result, other.result
    words = f"{number_word(asked.high)} {asked.sign} {number_word(asked.low)}"
    form = draws.pick(("It is {}.", f"{words.capitalize()} is {{}}."))
    return f"block-{place}", Question(
        category="arithmetic",
        prompt=draws.pick((f"What is {words}?", f"How much is {words}?", f"Work out {words}.")),
        right=form.format(number_word(right)),
        wrong=form.format(number_word(wrong)),
        evidence=f"{words.capitalize()} is {number_word(right)}",
    )


def _ask_larger(draws: Draws) -> tuple[str, Question]:
    one, other = draws.shuffled(range(30))[:2]
    low, high = sorted((one, other))
    asked = draws.pick(("larger", "smaller"))
    right, wrong = (high, low) if asked == "larger" else (low, high)
    return f"{low}-{high}", Question(
        category="larger",
        prompt=draws.pick(
            (
                f"Which is {asked}, {number_word(one)} or {number_word(other)}?",
                f"Which number is {asked}: {number_word(one)} or {number_word(other)}?",
            )
        ),
        right=f"{number_word(right).capitalize()} is {asked}.",
        wrong=f"{number_word(wrong).capitalize()} is {asked}.",
        evidence=f"{number_word(high).capitalize()} is more than {number_word(low)}",
    )


def _ask_repeat(draws: Draws) -> tuple[str, Question]:
    words = draws.shuffled(_THINGS)[: draws.between(1, 2)]
    times = draws.between(1, 3)
    wrong_words, wrong_times = words, times
    if len(words) == 2 and draws.coin():
        wrong_words = words[::-1]
    else:
        wrong_times = draws.pick([number for number in _TIMES if number != times])
    phrase = " ".join(words)
    return "-".join(sorted(words)), Question(
        category="repeat",
        prompt=draws.pick((f"Repeat {phrase} {_TIMES[times]}.", f"Say {phrase} {_TIMES[times]}.")),
        right=" ".join(words * times),
        wrong=" ".join(wrong_words * wrong_times),
        evidence=f"The words {phrase} were wanted {_TIMES[times]}",
    )


def _ask_order(draws: Draws) -> tuple[str, Question]:
    first, second = draws.shuffled(_THINGS)[:2]
    return "-".join(sorted((first, second))), Question(
        category="order",
        prompt=draws.pick(
            (
                f"Say {first}, then {second}.",
                f"Write {first} before {second}.",
                f"Write {second} after {first}.",
            )
        ),
        right=f"{first} {second}",
        wrong=f"{second} {first}",
        evidence=f"The word {first} must come before {second}",
    )


def _ask_choice(draws: Draws) -> tuple[str, Question]:
    words = draws.shuffled(_THINGS)[:3]
    place = draws.below(3)
    right, wrong = words[place], draws.pick([word for word in words if word != words[place]])
    name = ("first", "second", "last")[place]
    return "-".join(sorted(words)), Question(
        category="choice",
        prompt=f"Which word is {name}: {', '.join(words)}?",
        right=f"The {name} word is {right}.",
        wrong=f"The {name} word is {wrong}.",
        evidence=f"The {name} word is {right}",
    )


def _ask_odd(draws: Draws) -> tuple[str, Question]:
    own, other = draws.shuffled(_KINDS)[:2]
    odd, first, second = draws.pick(own), *draws.shuffled(other)[:2]
    words = draws.shuffled((odd, first, second))
    form = draws.pick(("The word {} does not belong.", "It is {}."))
    return "-".join(sorted(words)), Question(
        category="odd",
        prompt=f"Which word does not belong: {', '.join(words)}?",
        right=form.format(odd),
        wrong=form.format(first),
        evidence=f"Only {first} and {second} are of one kind",
    )


_ASKERS: dict[str, Callable[[Draws], tuple[str, Question]]] = {
    "arithmetic": _ask_arithmetic,
    "larger": _ask_larger,
    "repeat": _ask_repeat,
    "order": _ask_order,
    "choice": _ask_choice,
    "odd": _ask_odd,
}
CATEGORIES = tuple(_ASKERS)
