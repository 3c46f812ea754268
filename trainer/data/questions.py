"""A generated question with its answers, and the preference item it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trainer.data.items import ImageReference, PreferenceItem, Response
from trainer.data.randomness import Draws


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with two answers in the same words but for what is asked."""

    category: str
    prompt: str
    right: str
    wrong: str
    evidence: str
    """A clause stating what is so, without a full stop."""

    @property
    def right_critique(self) -> str:
        """What a judge says of the right answer."""
        return f"{self.evidence}, so this is right."

    @property
    def wrong_critique(self) -> str:
        """What a judge says of the wrong answer."""
        return f"{self.evidence}, so this is wrong."


def question_item(
    question: Question,
    *,
    item_id: str,
    group_id: str,
    source: str,
    images: Sequence[ImageReference] = (),
) -> PreferenceItem:
    """The question as an item; a coin named by the item decides which answer comes first."""
    right = Response(text=question.right, rank=1, critique=question.right_critique)
    wrong = Response(text=question.wrong, rank=2, critique=question.wrong_critique)
    return PreferenceItem(
        item_id=item_id,
        group_id=group_id,
        prompt=question.prompt,
        responses=(right, wrong) if Draws("order", source, item_id).coin() else (wrong, right),
        images=tuple(images),
        category=question.category,
        source=source,
    )


def with_label_noise(item: PreferenceItem, probability: float, *, seed: int) -> PreferenceItem:
    """The item, or with the given probability its labels the wrong way round.

    The critiques change places too: an annotator who errs says so in words as well. An item that is
    flipped at one probability is flipped at every larger one.
    """
    if not Draws("label noise", item.source, seed, item.item_id).coin(probability):
        return item
    first, second = item.responses
    return replace(
        item,
        responses=(
            replace(first, rank=second.rank, critique=second.critique),
            replace(second, rank=first.rank, critique=first.critique),
        ),
    )
