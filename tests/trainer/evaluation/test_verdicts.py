"""Verdicts in free text: what says one is read, and what does not is not guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation.verdicts import Verdict, parse_verdict

SAYS: list[tuple[str, Verdict]] = [
    ("A", "first"),
    (" B.", "second"),
    ("(2)", "second"),
    ("Response A", "first"),
    ("**Answer 2**", "second"),
    ("tie", "tie"),
    ("[[A]]", "first"),
    ("I compared both. My final verdict is: [[B]].", "second"),
    ("[[C]]", "tie"),
    ("[[A>>B]]", "first"),
    ("[[B > A]]", "second"),
    ("[[A<<B]]", "second"),
    ("My final verdict is tie: [[A=B]]", "tie"),
    (r"So the answer is \boxed{2}.", "second"),
    (r"\boxed{\text{A}}", "first"),
    ("<think>A is better in style</think><answer>2</answer>", "second"),
    ("<answer>Response 1</answer>", "first"),
    ('{"reason": "B lies", "winner": "A"}', "first"),
    ("The better response: [1]", "first"),
    ("The better response is Response 2.", "second"),
    ("Better: A", "first"),
    ("Overall, the preferred answer is B because it counts right.", "second"),
    ("Winner: Response 2", "second"),
    ("Verdict: tie", "tie"),
    ("Final answer: the first one", "first"),
    ("Response 2 is better.", "second"),
    ("The second response is clearly better than the first.", "second"),
    ("Answer A is slightly better than Answer B.", "first"),
    ("I prefer Response 1.", "first"),
    ("Assistant B wins.", "second"),
    ("Response A outperforms Response B in detail.", "first"),
    ("A>B", "first"),
    ("2 > 1", "second"),
    ("Response 1 < Response 2", "second"),
    ("A = B", "tie"),
    ("Both are equally good.", "tie"),
    ("The two are of the same quality, there is no clear winner.", "tie"),
    ("Neither is better.", "tie"),
    ("It's a tie.", "tie"),
    ("Response A is not better than Response B. Response B is better.", "second"),
    ("A is good, but B is better.", "second"),
    ("If A were longer it would be better. Better: B", "second"),
]

SAYS_NOTHING = [
    "",
    "   \n",
    "I cannot tell.",
    "A photo of a dog and a cat.",
    "There are 2 dogs and 1 cat.",
    "Response A describes the image. Response B describes it, too.",
    "Response A is not better.",
    "I don't think Response A is better.",
    "If the image is red, Response B is better.",
    "It is unclear whether A is better.",
    "[[A]] ... no, wait: [[B]]",
    "[[7]]",
    "[[A=A]]",
    "A > B and B > A",
    "Response 1 is better in style. Response 2 is better in fact.",
    "A is better in detail, but overall both are equally good.",
    "Rating: 1.5",
    "Final answer: 12",
    "Verdict: 1.5 points",
    "The best answer would need a source.",
    "She is better at drawing than he is.",
]


@pytest.mark.parametrize(("text", "verdict"), SAYS, ids=[text for text, _ in SAYS])
def test_what_says_a_verdict_is_read(text: str, verdict: Verdict) -> None:
    assert parse_verdict(text) == verdict


@pytest.mark.parametrize("text", SAYS_NOTHING, ids=SAYS_NOTHING)
def test_what_says_none_is_not_guessed(text: str) -> None:
    assert parse_verdict(text) is None


MIRROR = str.maketrans({"A": "B", "B": "A", "1": "2", "2": "1"})


@pytest.mark.parametrize(("text", "verdict"), [pair for pair in SAYS if "Assistant" not in pair[0]])
def test_the_other_name_in_the_same_words_is_the_other_verdict(text: str, verdict: Verdict) -> None:
    swapped = text.translate(MIRROR)
    swapped = swapped.replace("first", "\0").replace("second", "first").replace("\0", "second")
    swapped = swapped.replace("Bnswer", "Answer")
    swapped = swapped.replace("Aoth", "Both").replace("Aetter", "Better")
    other: dict[Verdict, Verdict] = {"first": "second", "second": "first", "tie": "tie"}

    assert parse_verdict(swapped) == other[verdict]


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    assert parse_verdict(text) in (None, "first", "second", "tie")
