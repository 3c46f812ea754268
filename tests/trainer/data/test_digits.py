"""Digit questions are answered as the digit says, and not by their words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.trainer.data.text_shortcut import text_only_accuracy
from trainer.config import SourceConfig
from trainer.data.digits import DigitImage, handwritten_digits
from trainer.data.sources import open_source
from trainer.data.wording import number_word

NUMBERS = {number_word(number): number for number in range(20)}


def is_true(digit: int, prompt: str, answer: str) -> bool:
    """Whether the answer holds of the digit, from the sentences alone."""
    said = [NUMBERS[word] for word in re.findall(r"\w+", answer.lower()) if word in NUMBERS]
    asked = [NUMBERS[word] for word in re.findall(r"\w+", prompt.lower()) if word in NUMBERS]
    yes = answer.startswith("Yes")
    if "larger" in prompt:
        assert said == asked
        return (digit > asked[0]) == yes
    if "even" in prompt or "odd" in prompt:
        return ((digit % 2 == 0) == ("even" in prompt)) == yes
    return said[-1] == digit + sum(asked)


def test_every_answer_is_labelled_as_the_digit_says() -> None:
    shown = dict(handwritten_digits())

    for item in open_source(SourceConfig(kind="digits")).items("train", 4000, seed=0):
        image = item.images[0]
        assert isinstance(image, DigitImage)
        for response in item.responses:
            true = is_true(shown[image.pixels], item.prompt, response.text)
            assert true == (response.rank == 1)


def test_the_words_alone_leave_a_model_near_chance() -> None:
    items = open_source(SourceConfig(kind="digits")).items("train", 5600, seed=0)

    assert text_only_accuracy(items[:4000], items[4000:]) <= 0.55


@pytest.mark.parametrize("category", ["digit", "parity", "larger", "sum"])
def test_no_category_can_be_answered_blind(category: str) -> None:
    source = open_source(SourceConfig(kind="digits", settings={"categories": [category]}))
    items = source.items("train", 1400, seed=0)

    assert text_only_accuracy(items[:900], items[900:]) <= 0.58


def test_an_enlarged_digit_still_looks_like_itself() -> None:
    pixels, _ = handwritten_digits()[0]
    large = DigitImage(pixels, 56).load()
    blocks = np.asarray(large.convert("L")).reshape(8, 7, 8, 7).mean(axis=(1, 3))
    levels = np.frombuffer(pixels, dtype=np.uint8).reshape(8, 8)

    assert large.size == (56, 56)
    assert np.corrcoef(blocks.ravel(), levels.ravel())[0, 1] > 0.98


def test_the_same_digit_at_another_size_is_another_image_of_the_same_group() -> None:
    small, large = (
        open_source(SourceConfig(kind="digits", settings={"image_size": size}))
        .items("test", 1, seed=0)[0]
        for size in (28, 56)
    )  # fmt: skip

    assert small.group_id == large.group_id
    assert small.images[0].key != large.images[0].key
