"""The normal form of preference data: a prompt, its images, and ranked responses.

Every source yields this form and every paradigm reads it. Items that share an image or a prompt
share a `group_id`, and a group never straddles splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

Modality = Literal["image", "text"]


class ImageReference(Protocol):
    """An image that is decoded or drawn when it is needed."""

    @property
    def key(self) -> str:
        """Content key: equal keys mean equal pixels."""
        ...

    def load(self) -> Image:
        """The image in RGB. Raises `infra.errors.DataError` naming it when unreadable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer to the prompt."""

    text: str
    rank: int
    """1 is best; equal ranks are ties."""
    critique: str = ""
    """What a judge would say of this response; empty when the source has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceItem:
    """One prompt with two or more ranked responses."""

    item_id: str
    group_id: str
    prompt: str
    responses: tuple[Response, ...]
    """In the order the source gives them; which one is best must not follow from the order."""
    images: tuple[ImageReference, ...] = ()
    category: str = ""
    source: str = ""
    margin: float | None = None
    """Gap the annotator implied, in reward units."""
    soft_label: float | None = None
    """Probability that the better-ranked of two responses is the better one, such as the
    share of votes for it. Absent: the label is taken as certain. A tie has none."""
    label_weight: float = 1.0

    @property
    def modality(self) -> Modality:
        """`image` when the prompt has images."""
        return "image" if self.images else "text"
