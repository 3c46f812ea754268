"""What each paradigm shows the model: an item becomes one trunk and several branches of tokens.

A branch follows the trunk as if the other branches were not there. What is shared by all branches
(images and prompt) is in the trunk, so it is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from infra.errors import BackboneError, DataError
from trainer.config import Paradigm
from trainer.data.items import PreferenceItem
from trainer.head_config import JudgeConfig
from trainer.model.backbone import Backbone
from trainer.model.backbone_inputs import ImageInput

CRITIQUE_OPENING = "\nCritique:"
"""Stands between a response and what is said of it."""

JUDGING = "Two answers to this question follow. Say which one is better, A or B.\n{prompt}"
PRESENTATION = "Answer A: {first}\nAnswer B: {second}"
REASONS_OPENING = "\nReasons:"
REASONS_CLOSING = "\nBetter:"
"""Stands before a verdict, with or without reasons."""
VERDICTS = (" A", " B")
"""The first names the response shown first."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Tokens that follow the trunk."""

    tokens: tuple[int, ...]
    labelled: int = 0
    """How many tokens at the end the language model is trained to write."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """One question to a judge: which of two responses is better."""

    first: int
    second: int

    def reasons(self, item: PreferenceItem) -> str:
        """What the item's critiques say of the two, in the order they are shown."""
        said = (item.responses[self.first].critique, item.responses[self.second].critique)
        return "".join(
            f"{name}: {critique}" for name, critique in zip(VERDICTS, said, strict=True) if critique
        )

    def verdict(self, item: PreferenceItem) -> int | None:
        """0 when the first is better, 1 when the second is, nothing when they tie."""
        first, second = item.responses[self.first].rank, item.responses[self.second].rank
        return None if first == second else int(second < first)


@dataclass(frozen=True, slots=True)
class TreePrompt:
    """One item as the model sees it."""

    trunk: tuple[int, ...]
    branches: tuple[Branch, ...]
    response_tokens: tuple[int, ...]
    """Length of each response, without the end-of-text token."""


def presentations(item: PreferenceItem) -> list[Presentation]:
    """Every pair of responses in both orders, as given first."""
    pairs = combinations(range(len(item.responses)), 2)
    return [order for i, j in pairs for order in (Presentation(i, j), Presentation(j, i))]


def verdict_tokens(backbone: Backbone) -> tuple[int, int]:
    """The token that names the first response, and the one that names the second.

    Raises:
        BackboneError: If the tokenizer's words for the two do not end in different tokens.
    """
    first, second = (backbone.encode_text(verdict)[-1] for verdict in VERDICTS)
    if first == second:
        raise BackboneError(
            f"a judge needs a tokenizer that tells {VERDICTS[0]!r} from {VERDICTS[1]!r}; this "
            "one writes both with the same token, so use another backbone or paradigm"
        )
    return first, second


def build_prompts(
    items: Sequence[PreferenceItem],
    images: Sequence[Sequence[ImageInput]],
    backbone: Backbone,
    paradigm: Paradigm,
    *,
    critiques: bool = True,
    judge: JudgeConfig | None = None,
) -> list[TreePrompt]:
    """The trees of some items.

    Args:
        items: Whose prompts and responses are shown.
        images: Of each item, processed.
        backbone: Its tokenizer and layout are used.
        paradigm: Decides what a branch is.
        critiques: Whether a critic's branches hold the items' critiques, and a judge's its
            reasons (training), or end where the model has to write its own (evaluation).
        judge: How a judge comes to its verdict.

    Raises:
        DataError: If a judge is shown an item with a single response.
    """
    prompts = [
        JUDGING.format(prompt=item.prompt) if paradigm == "generative" else item.prompt
        for item in items
    ]
    trunks = [tuple(ids) for ids in backbone.prompts_ids(prompts, images)]
    responses = _encoded([[r.text for r in item.responses] for item in items], backbone)
    if paradigm == "generative":
        branches = _judged(items, backbone, judge or JudgeConfig(), written=critiques)
    elif paradigm == "critic":
        branches = _criticised(items, responses, backbone, critiques)
    else:
        end = (backbone.eos_token_id,)
        branches = [[Branch((*tokens, *end)) for tokens in group] for group in responses]
    return [
        TreePrompt(trunk, tuple(group), tuple(len(tokens) for tokens in texts))
        for trunk, group, texts in zip(trunks, branches, responses, strict=True)
    ]


def _criticised(
    items: Sequence[PreferenceItem],
    responses: Sequence[Sequence[tuple[int, ...]]],
    backbone: Backbone,
    critiques: bool,
) -> list[list[Branch]]:
    opening = tuple(backbone.encode_text(CRITIQUE_OPENING))
    if not critiques:
        return [[Branch((*tokens, *opening)) for tokens in group] for group in responses]
    # A space first, so that a critique is tokenized as the continuation of the opening.
    texts = [[f" {r.critique}" if r.critique else "" for r in item.responses] for item in items]
    end = (backbone.eos_token_id,)
    return [
        [
            Branch((*tokens, *opening, *said, *end), len(said) + 1 if said else 0)
            for tokens, said in zip(group, sayings, strict=True)
        ]
        for group, sayings in zip(responses, _encoded(texts, backbone), strict=True)
    ]


def _judged(
    items: Sequence[PreferenceItem], backbone: Backbone, judge: JudgeConfig, *, written: bool
) -> list[list[Branch]]:
    for item in items:
        if len(item.responses) < 2:
            raise DataError(
                f"item {item.item_id!r} of source {item.source!r} has one response, but a judge "
                "compares two; give it another, or score it with a model of another paradigm"
            )
    orders = [[(item, order) for order in presentations(item)] for item in items]
    shown = [
        [
            PRESENTATION.format(
                first=item.responses[order.first].text, second=item.responses[order.second].text
            )
            for item, order in group
        ]
        for group in orders
    ]
    if not judge.reasoning:
        asked = [[f"{text}{REASONS_CLOSING}" for text in group] for group in shown]
        return [[Branch(tokens) for tokens in group] for group in _encoded(asked, backbone)]
    closing = tuple(backbone.encode_text(REASONS_CLOSING))
    opening = tuple(backbone.encode_text(REASONS_OPENING))
    if not written:
        return [
            [Branch((*tokens, *opening)) for tokens in group] for group in _encoded(shown, backbone)
        ]
    texts = [[order.reasons(item) for item, order in group] for group in orders]
    return [
        [
            Branch((*tokens, *opening, *said, *closing), len(said) + len(closing) if said else 0)
            for tokens, said in zip(group, reasons, strict=True)
        ]
        for group, reasons in zip(_encoded(shown, backbone), _encoded(texts, backbone), strict=True)
    ]


def _encoded(groups: Sequence[Sequence[str]], backbone: Backbone) -> list[list[tuple[int, ...]]]:
    flat = iter(backbone.encode_texts([text for group in groups for text in group]))
    return [[tuple(next(flat)) for _ in group] for group in groups]
