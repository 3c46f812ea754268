"""Reading the cells of published rows: chats, transcripts, images, ratings.

What is not there or is of another kind raises `UnusableRow` with the reason that is counted.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainer.data.items import Response
from trainer.data.pair_rows import PairRow, Reason, UnusableRow

_PLACEHOLDER = re.compile(r"<image(?:_?\d+)?>|<\|image\|>|<image-placeholder>|<ImageHere>")
_SPEAKERS = {
    "human": "User",
    "user": "User",
    "prompter": "User",
    "gpt": "Assistant",
    "assistant": "Assistant",
    "model": "Assistant",
    "system": "System",
}
_TURN = re.compile(r"\n\n(Human|Assistant):")


def text(row: Mapping[str, Any], *names: str) -> str:
    """The first of these cells that is there; it must be text."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            raise UnusableRow(Reason.NOT_TEXT)
    raise UnusableRow(Reason.SHAPE)


def number(value: object, reason: Reason = Reason.RATING) -> float:
    """A finite number, or text that spells one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UnusableRow(reason)
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise UnusableRow(reason) from None
    if not math.isfinite(found):
        raise UnusableRow(reason)
    return found


def as_rows(value: object) -> list[dict[str, Any]]:
    """A list of mappings, also where Parquet holds it as a mapping of lists or as JSON text."""
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, Mapping):
        names = list(value)
        return [dict(zip(names, each, strict=True)) for each in zip(*value.values(), strict=True)]
    if not isinstance(value, Sequence) or not all(isinstance(each, Mapping) for each in value):
        raise UnusableRow(Reason.SHAPE)
    return [dict(each) for each in value]


def said(message: Mapping[str, Any]) -> str:
    """The words of one chat message, `{role, content}` or `{from, value}`."""
    content = message.get("content", message.get("value"))
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [each if isinstance(each, str) else each.get("text") for each in content]
        return "\n".join(part for part in parts if isinstance(part, str))
    raise UnusableRow(Reason.NOT_TEXT)


def conversation(messages: Iterable[Mapping[str, Any]]) -> str:
    """A chat as one prompt: a single question as it is, several turns with their speakers."""
    turns = [(str(m.get("role", m.get("from", ""))).lower(), said(m)) for m in messages]
    turns = [(role, words) for role, words in turns if words.strip()]
    if len(turns) == 1 and _SPEAKERS.get(turns[0][0]) == "User":
        return turns[0][1]
    return "\n\n".join(f"{_SPEAKERS.get(role, role)}: {words}" for role, words in turns)


def answer(value: object) -> str:
    """An answer given as text, as one message, or as a chat that ends with it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return said(value)
    if isinstance(value, Sequence) and value:
        return said(value[-1])
    raise UnusableRow(Reason.NOT_TEXT)


def asked(row: Mapping[str, Any], chosen: object, *names: str) -> str:
    """The prompt: the cell of one of these names, or what comes before the answer in its chat."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, Sequence) and value and not isinstance(value, str):
            chat = as_rows(value)
            last = str(chat[-1].get("role", chat[-1].get("from", ""))).lower()
            return conversation(chat[:-1] if _SPEAKERS.get(last) == "Assistant" else chat)
    if isinstance(chosen, Sequence) and not isinstance(chosen, str):
        return conversation(as_rows(chosen)[:-1])
    raise UnusableRow(Reason.NO_PROMPT)


def transcript(whole: str) -> tuple[str, str]:
    """Prompt and last answer of a transcript of `Human:` and `Assistant:` turns (hh-rlhf)."""
    parts = _TURN.split(whole)
    turns = [
        {"role": "user" if speaker == "Human" else "assistant", "content": words.strip()}
        for speaker, words in zip(parts[1::2], parts[2::2], strict=True)
    ]
    if len(turns) < 2 or turns[-1]["role"] != "assistant":
        raise UnusableRow(Reason.ONE_RESPONSE)
    return conversation(turns[:-1]), turns[-1]["content"]


def images(row: Mapping[str, Any], *names: str) -> tuple[str | bytes, ...]:
    """The images in the first of these cells that holds any: paths, or encoded bytes."""
    for name in names:
        value = row.get(name)
        if value is None or value in ("", []):
            continue
        if isinstance(value, str) and value.lstrip().startswith("["):
            value = json.loads(value)
        many = value if isinstance(value, list | tuple) else [value]
        return tuple(_image(each) for each in many)
    return ()


def without_placeholders(prompt: str, count: int) -> str:
    """The prompt without marks of where its images stand, since we show images first.

    Between other words of a prompt with several images a mark says which one is meant, so there it
    becomes `[image 2]`.
    """
    stripped = _PLACEHOLDER.sub("", prompt).strip() if count < 2 else ""
    if count < 2:
        return stripped
    bare = re.sub(rf"^(?:\s*{_PLACEHOLDER.pattern}\s*)+", "", prompt)
    shown = len(_PLACEHOLDER.findall(prompt)) - len(_PLACEHOLDER.findall(bare))
    counter = iter(range(shown + 1, 10**6))
    return _PLACEHOLDER.sub(lambda _: f"[image {next(counter)}]", bare).strip()


def pair(
    prompt: str,
    chosen: str,
    rejected: str,
    *,
    critiques: tuple[str, str] = ("", ""),
    shown: tuple[str | bytes, ...] = (),
    **more: Any,  # noqa: ANN401 -- fields of `PairRow`
) -> PairRow:
    """A better response and a worse one."""
    return PairRow(
        prompt=without_placeholders(prompt, len(shown)),
        responses=(
            Response(text=chosen, rank=1, critique=critiques[0]),
            Response(text=rejected, rank=2, critique=critiques[1]),
        ),
        images=shown,
        **more,
    )


def judged(
    prompt: str,
    first: str,
    second: str,
    preference: float,
    *,
    critiques: tuple[str, str] = ("", ""),
    shown: tuple[str | bytes, ...] = (),
    **more: Any,  # noqa: ANN401 -- fields of `PairRow`
) -> PairRow:
    """Two responses in the order given; a positive preference is for the first, zero is a tie."""
    return PairRow(
        prompt=without_placeholders(prompt, len(shown)),
        responses=(
            Response(text=first, rank=1 + (preference < 0), critique=critiques[0]),
            Response(text=second, rank=1 + (preference > 0), critique=critiques[1]),
        ),
        images=shown,
        **more,
    )


def by_score(texts: Sequence[str], scores: Sequence[float]) -> tuple[Response, ...]:
    """Responses ranked by a score, the highest first; equal scores are equal ranks."""
    places = {score: place for place, score in enumerate(sorted(set(scores), reverse=True), 1)}
    return tuple(
        Response(text=words, rank=places[score]) for words, score in zip(texts, scores, strict=True)
    )


def _image(value: object) -> str | bytes:
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path") or value.get("image") or value.get("url")
    if isinstance(value, bytes) and value:
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UnusableRow(Reason.IMAGE_NAME)
    if value.startswith("data:image"):
        try:
            return base64.b64decode(value.partition(",")[2], validate=True)
        except binascii.Error:
            raise UnusableRow(Reason.CORRUPT_IMAGE) from None
    return value
