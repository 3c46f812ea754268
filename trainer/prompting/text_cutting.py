"""`TextCutter`: prompts and responses of at most so many tokens.

Only words are cut, never what stands for an image. A prompt keeps its end, where the question is; a
response keeps its beginning, unless two responses would become the same: then all of that item keep
the stretch around their first difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from trainer.config import DataConfig
from trainer.data.items import PreferenceItem
from trainer.gangs.gang import Gang
from trainer.model.backbone import Backbone

_PROMPT_CUT = 128


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Most tokens of a prompt's and of a response's words; none where there is no limit."""

    prompt: int | None
    response: int | None

    @classmethod
    def of(cls, config: DataConfig) -> TextLimits | None:
        """The config's limits; none when it has none."""
        if config.max_prompt_tokens is None and config.max_response_tokens is None:
            return None
        return cls(config.max_prompt_tokens, config.max_response_tokens)


class TextCutter:
    """Cuts items for one backbone's tokenizer."""

    def __init__(self, backbone: Backbone, limits: TextLimits) -> None:
        self._tokenizer = backbone.tokenizer
        self._limits = limits

    def __call__(self, items: Sequence[PreferenceItem]) -> list[PreferenceItem]:
        """The items with texts within the limits; what is within them stays the same object."""
        return [self._cut(item) for item in items]

    def _cut(self, item: PreferenceItem) -> PreferenceItem:
        prompt, texts = item.prompt, [response.text for response in item.responses]
        if self._limits.prompt is not None:
            ends = self._token_ends(prompt)
            if len(ends) > self._limits.prompt:
                prompt = prompt[ends[-self._limits.prompt - 1] :]
        if self._limits.response is not None:
            texts = self._cut_responses(texts, self._limits.response)
        if prompt == item.prompt and all(
            text == response.text for text, response in zip(texts, item.responses, strict=True)
        ):
            return item
        responses = tuple(
            replace(response, text=text)
            for text, response in zip(texts, item.responses, strict=True)
        )
        return replace(item, prompt=prompt, responses=responses)

    def _cut_responses(self, texts: Sequence[str], most: int) -> list[str]:
        ends = [self._token_ends(text) for text in texts]
        if all(len(each) <= most for each in ends):
            return list(texts)
        cut = [_first(text, each, most) for text, each in zip(texts, ends, strict=True)]
        if len(set(cut)) == len(set(texts)):
            return cut
        # Some that differ look alike now: those start a little before where they come apart.
        alike = {text for text, short in zip(texts, cut, strict=True) if cut.count(short) > 1}
        start = self._start(sorted(alike), most)
        moved = [
            _first(text[start:], self._token_ends(text[start:]), most) if text in alike else short
            for text, short in zip(texts, cut, strict=True)
        ]
        # Where even that makes two the same, a text that is too long is better than a wrong label.
        return moved if len(set(moved)) == len(set(texts)) and all(moved) else list(texts)

    def _start(self, alike: Sequence[str], most: int) -> int:
        """Half a limit of tokens before the last place at which two of these come apart."""
        apart = max(_shared(one, other) for one, other in pairwise(alike))
        ends = self._token_ends(alike[0][:apart])
        place = len(ends) - most // 2
        return ends[place - 1] if place > 0 else 0

    def _token_ends(self, text: str) -> list[int]:
        """Where each token of a text ends, in characters."""
        encoded = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        return [end for _, end in encoded["offset_mapping"]]


class Shortened:
    """Which items were shortened: a byte each, so that whichever ranks meet one, it counts once."""

    def __init__(self, items: int) -> None:
        self._marks = np.zeros(items, dtype=np.uint8)

    def note(
        self, places: Sequence[int], items: Sequence[PreferenceItem], cut: Sequence[PreferenceItem]
    ) -> None:
        """Remember what was cut of the items at these places."""
        for place, whole, short in zip(places, items, cut, strict=True):
            if short is not whole:
                pairs = zip(whole.responses, short.responses, strict=True)
                responses = sum(one.text != other.text for one, other in pairs)
                prompt = whole.prompt != short.prompt
                self._marks[place] = min(responses, _PROMPT_CUT - 1) + _PROMPT_CUT * prompt

    def counts(self, gang: Gang) -> dict[str, int]:
        """Prompts and responses, over all ranks, which all take part; nothing without a limit."""
        if not len(self._marks):
            return {}
        parts = gang.gather(self._marks.tobytes())
        marks = np.maximum.reduce([np.frombuffer(part, dtype=np.uint8) for part in parts])
        return {
            "prompts": int((marks >= _PROMPT_CUT).sum()),
            "responses": int((marks % _PROMPT_CUT).sum()),
        }


def _shared(one: str, other: str) -> int:
    """Characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _first(text: str, ends: Sequence[int], most: int) -> str:
    return text if len(ends) <= most else text[: ends[most - 1]]
