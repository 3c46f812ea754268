"""What a judge's free text says of two responses: the first, the second, a tie, or nothing.

Nothing is guessed. Ways of saying it are tried from the most explicit down, and the first kind that
occurs decides: if what it says is of one mind, that is the verdict, and if not there is none.
Sentences that deny, doubt or suppose say nothing. Torch-free.

Every repetition is bounded or starts at a word of its own, so that a long text costs linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

Verdict = Literal["first", "second", "tie"]

_NAMES: dict[str, Verdict] = {
    "a": "first", "1": "first", "one": "first", "first": "first",
    "b": "second", "2": "second", "two": "second", "second": "second",
    "c": "tie", "tie": "tie", "tied": "tie", "draw": "tie", "equal": "tie", "same": "tie",
    "both": "tie", "neither": "tie",
}  # fmt: skip

_NOUN = r"(?:response|answer|assistant|model|candidate|output|reply|option|solution)"
# A lone lower-case a is an article, so letters count in capitals, unless brackets set them off.
_NAME = (
    rf"(?:(?i:{_NOUN}|choice)\s*)?[\"'*`(\[]{{0,4}}"
    r"\b(A|B|1|2|(?i:one|two))\b(?![.,]?\d)[\"'*`)\]]{0,4}"
)
_ORDINAL = rf"(?i:the\s+(first|second)(?:\s+{_NOUN}|\s+one)?)"
_EITHER = rf"(?:{_NAME}|{_ORDINAL})"

_SIGN = r"\s*(>+|<+|=+)\s*"
_BRACKETED = re.compile(rf"\[\[\s*(?:([AB12]){_SIGN}([AB12])|(\w+))\s*\]\]", re.I)
_TAGGED = re.compile(
    rf"(?:\\boxed\{{|<(?:answer|verdict|winner|choice)>|\"(?:answer|verdict|winner|better|choice|"
    rf"preferred)\"\s*:\s*\"?)\s*(?:\\text\{{)?(?:{_NOUN}\s*)?\(?(\w+)\)?\s*\}}*",
    re.I,
)
_PREFERENCE = r"better|preferred|best|superior|stronger|winning|chosen"
_DECLARED = re.compile(
    rf"(?i:\b(?:{_PREFERENCE})(?:\s+{_NOUN})?(?:\s+is|\s*:|\s+would\s+be)|"
    rf"\b(?:winner|(?:final\s+)?(?:verdict|answer|choice|decision|judge?ment|preference))"
    rf"(?:\s+is|\s*:))[\s*:]{{0,6}}(?:{_EITHER}|(?i:(tie|draw|equal|both|neither)\b))"
)
_COMPARED = re.compile(
    rf"{_EITHER}\s+(?i:is|was|seems|appears)\s+"
    rf"(?i:(?:clearly|much|slightly|significantly|overall|somewhat|far|marginally|definitely|the)\s+)*"
    rf"(?i:{_PREFERENCE})\b"
    rf"|{_EITHER}\s+(?i:wins|outperforms|beats)\b"
    rf"|(?i:\bprefer\s+){_EITHER}"
)
_SIGNS = re.compile(
    rf"\b(?:(?i:{_NOUN})\s*)?([AB12]){_SIGN}(?:(?i:{_NOUN})\s*)?([AB12])\b(?![.,]?\d)"
)
_EVEN = re.compile(
    r"\b(?:equally\s+(?:good|bad|well|helpful|correct|valid|accurate)|(?:is|was|are|call)\s+(?:it\s+)?"
    r"an?\s+(?:tie|draw)|it'?s\s+a\s+(?:tie|draw)|no\s+clear\s+winner|of\s+(?:the\s+)?(?:same|equal)\s+"
    r"quality|neither\s+(?:is|one|response|answer)\s*(?:is\s+)?better|both\s+(?:are|responses\s+are|"
    r"answers\s+are)\s+(?:equal|tied|the\s+same|comparable))\b",
    re.I,
)
_DOUBT = re.compile(
    r"\b(?:not|never|no|hardly|neither|nor|if|unless|whether|could|might|may|unclear|unsure|wrong)\b"
    r"|n't\b",
    re.I,
)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+|,?\s{1,3}(?:but|however|although|though)\s", re.I)


def parse_verdict(text: str) -> Verdict | None:
    r"""The verdict a text gives, or None when it gives none or more than one.

    Reads a bare `A`, `[[A]]`, `[[B>>A]]`, `\boxed{2}`, `<answer>1</answer>`, `"winner": "B"`, `The
    better response: [1]`, `Verdict: tie`, `Response 2 is better`, `A > B`, `equally good` and their
    like. `A`, `1` and `first` name the response that was shown first; `[[C]]` is a tie.
    """
    for said in (_bare, _in_brackets, _in_tags, _in_statements, _in_comparisons):
        verdicts = set(said(text))
        if verdicts:
            return verdicts.pop() if len(verdicts) == 1 else None
    return None


def _bare(text: str) -> Iterator[Verdict]:
    words = re.sub(rf"(?i)\b{_NOUN}\b|[\s\"'*`().,:\[\]]", "", text)
    if len(words) <= 6 and words.lower() in _NAMES:
        yield _NAMES[words.lower()]


def _in_brackets(text: str) -> Iterator[Verdict]:
    for left, sign, right, name in _BRACKETED.findall(text):
        if sign:
            yield from _by_sign(left, sign, right)
        elif name.lower() in _NAMES:
            yield _NAMES[name.lower()]


def _in_tags(text: str) -> Iterator[Verdict]:
    for name in _TAGGED.findall(text):
        if name.lower() in _NAMES:
            yield _NAMES[name.lower()]


def _in_statements(text: str) -> Iterator[Verdict]:
    for sentence in _plain_sentences(text):
        for match in _DECLARED.finditer(sentence):
            yield _named(match)


def _in_comparisons(text: str) -> Iterator[Verdict]:
    for sentence in _plain_sentences(text):
        for match in _COMPARED.finditer(sentence):
            yield _named(match)
        for left, sign, right in _SIGNS.findall(sentence):
            yield from _by_sign(left, sign, right)
    if _EVEN.search(text):
        yield "tie"


def _plain_sentences(text: str) -> list[str]:
    sentences = _SENTENCE.split(text)
    return [
        sentence
        for sentence in sentences
        if sentence and not _DOUBT.search(_EVEN.sub("", sentence))
    ]


def _named(match: re.Match[str]) -> Verdict:
    return _NAMES[next(group for group in match.groups() if group).lower()]


def _by_sign(left: str, sign: str, right: str) -> Iterator[Verdict]:
    if _NAMES[left.lower()] == _NAMES[right.lower()]:
        return
    if sign[0] == "=":
        yield "tie"
    else:
        yield _NAMES[(left if sign[0] == ">" else right).lower()]
