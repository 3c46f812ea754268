"""Numbers and articles in words, as generated questions and answers use them."""

from __future__ import annotations

_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def number_word(number: int) -> str:
    """A whole number from 0 to 99 in words, such as `twenty one`."""
    if not 0 <= number < 100:
        raise ValueError(f"expected a number from 0 to 99, got {number}")
    if number < len(_UNITS):
        return _UNITS[number]
    tens = _TENS[number // 10 - 2]
    return f"{tens} {_UNITS[number % 10]}" if number % 10 else tens


def with_article(word: str) -> str:
    """`a` or `an` and the word; right for the words of this package (no silent first letters)."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
