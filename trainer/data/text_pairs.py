"""The `text` source: questions without an image, whose answers follow from a rule or a small fact.

A group is what is asked, whatever the wording, so no fact and no prompt straddles splits. Right and
wrong answers are drawn alike: an answer by itself does not tell whether it is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Literal

from pydantic import model_validator

from trainer.config import NonNegative
from trainer.data.generated import DrawnGroup, GeneratedSettings, GeneratedSource
from trainer.data.items import PreferenceItem
from trainer.data.questions import Question, question_item
from trainer.data.randomness import Draws, key_digest
from trainer.data.wording import number_word

Category = Literal["arithmetic", "larger", "repeat", "order", "choice", "opposite", "calendar"]

CATEGORY_WEIGHTS: Mapping[str, float] = {
    "arithmetic": 3,
    "larger": 3,
    "repeat": 3,
    "order": 3,
    "choice": 3,
    "opposite": 1,
    "calendar": 1,
}
"""Share of the questions by category, unless the settings say otherwise. What must be known, and
cannot be had from a rule, is asked less: a held-out fact is not in the training pairs."""

_THINGS = (
    "red", "green", "blue", "yellow", "purple", "black", "circle", "square", "triangle", "cross",
    "diamond", "cat", "dog", "cow", "sheep", "horse", "bird", "fish", "tree", "house", "river",
    "stone", "bread", "milk", "apple",
)  # fmt: skip
_OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("tall", "short"), ("fast", "slow"), ("old", "young"),
    ("day", "night"), ("up", "down"), ("left", "right"), ("open", "closed"), ("full", "empty"),
    ("hard", "soft"), ("light", "dark"), ("early", "late"), ("rich", "poor"), ("wet", "dry"),
    ("loud", "quiet"), ("near", "far"), ("high", "low"), ("happy", "sad"), ("strong", "weak"),
    ("first", "last"), ("clean", "dirty"), ("thick", "thin"), ("right", "wrong"),
)  # fmt: skip
_DAYS = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_TIMES = {1: "once", 2: "twice", 3: "three times"}
_LARGEST_TERM = 12
_LARGEST_ERROR = 3


class TextSettings(GeneratedSettings):
    """Settings of the `text` source."""

    categories: tuple[Category, ...] | dict[Category, NonNegative] | None = None
    """Kinds of question: a list asks all alike, a mapping gives weights."""

    @property
    def category_weights(self) -> Mapping[str, float]:
        """Share of the questions by category."""
        if isinstance(self.categories, tuple):
            return dict.fromkeys(self.categories, 1.0)
        if self.categories is None:
            return CATEGORY_WEIGHTS
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
        """One item per step, without end but for repetitions, which are left out."""
        weights = self.settings.category_weights
        seen: set[str] = set()
        for index in count():
            draws = Draws("text", self.version, seed, index)
            fact, question = _ASKERS[draws.pick_weighted(weights)](draws)
            content = key_digest(question.prompt, question.right, question.wrong)[:20]
            group_id = f"text-{question.category}-{fact}"
            if content in seen:
                yield group_id, list
                continue
            seen.add(content)
            yield group_id, partial(self._item, question, group_id, f"text-{content}")

    def _item(self, question: Question, group_id: str, item_id: str) -> list[PreferenceItem]:
        return [question_item(question, item_id=item_id, group_id=group_id, source=self.kind)]


def fact_statements() -> list[str]:
    """The opposites and the calendar in true sentences: what no rule tells and must be known."""
    statements = []
    for one, other in _OPPOSITES:
        statements += [f"The opposite of {one} is {other}.", f"The opposite of {other} is {one}."]
    for names, unit in ((_DAYS, "day"), (_MONTHS, "month")):
        for name, following in zip(names, names[1:] + names[:1], strict=True):
            statements.append(f"The {unit} after {name} is {following}.")
            statements.append(f"The {unit} before {following} is {name}.")
    return statements


def _terms(draws: Draws) -> tuple[int, str, int, int]:
    first, second = draws.between(0, _LARGEST_TERM), draws.between(0, _LARGEST_TERM)
    if draws.coin():
        return first, "plus", second, first + second
    first, second = max(first, second), min(first, second)
    return first, "minus", second, first - second


def _ask_arithmetic(draws: Draws) -> tuple[str, Question]:
    # Both answers are results of questions drawn alike, redrawn together until they are close.
    while True:
        first, sign, second, right = _terms(draws)
        wrong = _terms(draws)[3]
        if 0 < abs(right - wrong) <= _LARGEST_ERROR:
            break
    words = f"{number_word(first)} {sign} {number_word(second)}"
    form = draws.pick(("It is {}.", f"{words.capitalize()} is {{}}."))
    terms = [first, second] if sign == "minus" else sorted((first, second))
    return f"{terms[0]}-{sign}-{terms[1]}", Question(
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
    word, other = draws.shuffled(_THINGS)[:2]
    times = draws.between(1, 3)
    right = " ".join([word] * times)
    wrong_times = draws.pick([number for number in _TIMES if number != times])
    wrong = " ".join([word] * wrong_times) if draws.coin(0.7) else " ".join([other] * times)
    return f"{word}-{times}", Question(
        category="repeat",
        prompt=draws.pick(
            (f"Repeat the word {word} {_TIMES[times]}.", f"Say {word} {_TIMES[times]}.")
        ),
        right=right,
        wrong=wrong,
        evidence=f"The word {word} was wanted {_TIMES[times]}",
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


def _ask_opposite(draws: Draws) -> tuple[str, Question]:
    pair = draws.pick(_OPPOSITES)
    word, right = pair if draws.coin() else pair[::-1]
    wrong = draws.pick(draws.pick([other for other in _OPPOSITES if other != pair]))
    return "-".join(pair), Question(
        category="opposite",
        prompt=draws.pick(
            (f"What is the opposite of {word}?", f"Which word is the opposite of {word}?")
        ),
        right=f"The opposite of {word} is {right}.",
        wrong=f"The opposite of {word} is {wrong}.",
        evidence=f"The opposite of {word} is {right}",
    )


def _ask_calendar(draws: Draws) -> tuple[str, Question]:
    names, unit = draws.pick(((_DAYS, "day"), (_MONTHS, "month")))
    place = draws.below(len(names))
    earlier, later = names[place], names[(place + 1) % len(names)]
    side, known, right = draws.pick((("after", earlier, later), ("before", later, earlier)))
    wrong = draws.pick([name for name in names if name not in (earlier, later)])
    return f"{earlier}-{later}", Question(
        category="calendar",
        prompt=draws.pick(
            (f"Which {unit} comes {side} {known}?", f"What is the {unit} {side} {known}?")
        ),
        right=f"The {unit} {side} {known} is {right}.",
        wrong=f"The {unit} {side} {known} is {wrong}.",
        evidence=f"The {unit} {side} {known} is {right}",
    )


_ASKERS: dict[str, Callable[[Draws], tuple[str, Question]]] = {
    "arithmetic": _ask_arithmetic,
    "larger": _ask_larger,
    "repeat": _ask_repeat,
    "order": _ask_order,
    "choice": _ask_choice,
    "opposite": _ask_opposite,
    "calendar": _ask_calendar,
}
