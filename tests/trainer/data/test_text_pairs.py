"""Questions in words are answered by their rules, and an answer alone does not tell."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.trainer.data.text_shortcut import text_only_accuracy
from trainer.config import SourceConfig
from trainer.data.items import PreferenceItem
from trainer.data.sources import PreferenceSource, open_source
from trainer.data.text_pairs import CATEGORIES
from trainer.data.wording import number_word, with_article

NUMBERS = {number_word(number): number for number in range(100)}
NUMBER = "|".join(sorted(NUMBERS, key=len, reverse=True))
KINDS = ["red green blue yellow purple black", "circle square triangle cross diamond",
         "cat dog cow sheep horse bird fish", "bread milk apple cheese egg rice"]  # fmt: skip


def opened(**settings: object) -> PreferenceSource:
    return open_source(SourceConfig(kind="text", settings=settings))


def right_answer(item: PreferenceItem) -> set[str]:
    """The words that a right answer must end with, worked out from the prompt alone."""
    prompt = item.prompt.rstrip("?.")
    numbers = [NUMBERS[word.lower()] for word in re.findall(NUMBER, prompt, re.IGNORECASE)]
    if item.category == "arithmetic":
        one, other = numbers
        return {number_word(one + other if " plus " in prompt else one - other)}
    if item.category == "larger":
        return {number_word(max(numbers) if "larger" in prompt else min(numbers))}
    if item.category == "repeat":
        words, times = re.fullmatch(
            r"(?:Repeat|Say) (.+) (once|twice|three times)", prompt
        ).groups()  # type: ignore[union-attr]
        return {" ".join([words] * {"once": 1, "twice": 2, "three times": 3}[times])}
    if item.category == "order":
        if found := re.fullmatch(r"Write (\w+) after (\w+)", prompt):
            return {f"{found[2]} {found[1]}"}
        return {" ".join(re.findall(r"\w+", prompt)[1::2])}
    words = re.search(r": (.+)", prompt)[1].split(", ")  # type: ignore[index]
    if item.category == "choice":
        return {words[{"first": 0, "second": 1, "last": 2}[prompt.split()[3].rstrip(":")]]}
    kinds = [
        next(place for place, kind in enumerate(KINDS) if word in kind.split()) for word in words
    ]
    return {word for word, kind in zip(words, kinds, strict=True) if kinds.count(kind) == 1}


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_right_answer_is_right_and_the_wrong_one_is_not(category: str) -> None:
    for item in opened(categories=[category]).items("train", 400, seed=2):
        (right,) = right_answer(item)
        for response in item.responses:
            said = response.text.rstrip(".").lower()
            if category == "larger":
                said = said.split(" is ")[0]
            elif category == "arithmetic":
                said = said.split(" is ")[-1]
            elif category in ("choice", "odd"):
                said = right if right in said.split() else ""
            assert (said == right) == (response.rank == 1), item


def test_an_answer_alone_does_not_tell_whether_it_is_right() -> None:
    items = [replace(item, prompt="") for item in opened().items("train", 5000, seed=0)]

    assert text_only_accuracy(items[:3500], items[3500:]) <= 0.58


def test_what_is_asked_stays_in_its_split_in_every_wording() -> None:
    groups = {
        split: {item.group_id for item in opened().items(split, 600, seed=0)}
        for split in ("train", "validation", "test")
    }

    assert groups["train"].isdisjoint(groups["validation"] | groups["test"])
    assert groups["validation"].isdisjoint(groups["test"])


def test_no_pair_comes_twice() -> None:
    items = opened(categories=["larger", "order"]).items("train", 5000, seed=0)
    contents = {(item.prompt, frozenset(r.text for r in item.responses)) for item in items}

    assert len(contents) == len(items)


def test_weights_choose_the_categories() -> None:
    items = opened(categories={"odd": 3, "choice": 1, "order": 0}).items("train", 800, seed=0)
    odd = sum(item.category == "odd" for item in items)

    assert {item.category for item in items} == {"odd", "choice"}
    assert odd / len(items) == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(
    ("number", "words"), [(0, "zero"), (13, "thirteen"), (20, "twenty"), (99, "ninety nine")]
)
def test_numbers_are_written_as_people_write_them(number: int, words: str) -> None:
    assert number_word(number) == words


def test_numbers_beyond_a_hundred_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 99"):
        number_word(100)


def test_articles_follow_the_sound() -> None:
    assert with_article("eight") == "an eight"
    assert with_article("two") == "a two"
