"""`Screen`: which training items are left out for what other items hold, and why.

Two reasons: an item has been seen before, or a benchmark holds it. Either is told exactly, or also
of near-duplicates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from infra.errors import DataError
from trainer.config import DataConfig
from trainer.data.items import PreferenceItem
from trainer.data.near_images import NearImages
from trainer.data.near_texts import NearTexts, SequenceIndex, normalized_words
from trainer.data.randomness import key_digest
from trainer.data.sources import open_source

EVERY_ITEM = 10**9

SCREENING_VERSION = "3"
"""Raised whenever other ones of the same items would be left out."""


class ScreenReason(StrEnum):
    """Why an item is not trained on."""

    DUPLICATE = "a duplicate of an earlier item"
    NEAR_DUPLICATE = "a near-duplicate of an earlier item"
    HELD_OUT_IMAGE = "an image of a benchmark"
    NEAR_IMAGE = "an image that looks like a benchmark's"
    HELD_OUT_PROMPT = "a prompt of a benchmark"
    NEAR_PROMPT = "a prompt nearly the same as a benchmark's"


class Screen:
    """Judges items in the order they come."""

    def __init__(self, config: DataConfig) -> None:
        self._duplicates = config.duplicates
        self._seen: set[bytes] = set()
        self._near = NearTexts()
        settings = config.decontaminate
        self._benchmarks = (
            Contamination(
                held_out_items(config, settings.against),
                near=settings.near,
                threshold=settings.threshold,
            )
            if settings.against
            else None
        )
        self.left_out: Counter[ScreenReason] = Counter()

    def admits(self, item: PreferenceItem) -> bool:
        """Whether the item may be trained on; if so it counts as seen from now on."""
        reason = self._benchmarks.reason(item) if self._benchmarks else None
        reason = reason or self._repeated(item)
        if reason is not None:
            self.left_out[reason] += 1
        return reason is None

    def _repeated(self, item: PreferenceItem) -> ScreenReason | None:
        if self._duplicates == "keep":
            return None
        images = tuple(image.key for image in item.images)
        texts = [item.prompt, *sorted(response.text for response in item.responses)]
        # Signs count: sums, or lines of code, may differ in them alone. Case and spaces do not.
        words = tuple(tuple(text.casefold().split()) for text in texts)
        key = bytes.fromhex(key_digest(images, words)[:24])
        if key in self._seen:
            return ScreenReason.DUPLICATE
        self._seen.add(key)
        if self._duplicates == "drop_near" and self._near.seen("\n".join([*images, *texts])):
            return ScreenReason.NEAR_DUPLICATE
        return None


class Contamination:
    """What held-out items expose: their images, and the prompts that stand without one."""

    def __init__(self, held_out: Sequence[PreferenceItem], *, near: bool, threshold: float) -> None:
        pictured = {image.key: image for item in held_out for image in item.images}
        bare = [item.prompt for item in held_out if not item.images]
        self._images = set(pictured)
        self._prompts = {normalized_words(prompt) for prompt in bare}
        self._near_images = NearImages(pictured.values()) if near else None
        self._near_prompts = SequenceIndex(bare, threshold=threshold) if near else None

    def reason(self, item: PreferenceItem) -> ScreenReason | None:
        """Why this item gives a held-out one away, if it does."""
        if item.images:
            if any(image.key in self._images for image in item.images):
                return ScreenReason.HELD_OUT_IMAGE
            if self._near_images and any(map(self._near_images.finds, item.images)):
                return ScreenReason.NEAR_IMAGE
            return None
        if normalized_words(item.prompt) in self._prompts:
            return ScreenReason.HELD_OUT_PROMPT
        if self._near_prompts and self._near_prompts.finds(item.prompt):
            return ScreenReason.NEAR_PROMPT
        return None


def held_out_items(config: DataConfig, names: Sequence[str]) -> list[PreferenceItem]:
    """Validation and test items of some sources, which must have an end.

    Raises:
        DataError: If a source never runs out, or holds no such item.
    """
    items: list[PreferenceItem] = []
    for name in names:
        source = open_source(config.source(name))
        if source.size("test") is None:
            raise DataError(
                f"data source {name!r} never runs out, so training items cannot be compared with "
                "all of its test items; its own splits share no group anyway"
            )
        found = [
            *source.items("validation", EVERY_ITEM, seed=0),
            *source.items("test", EVERY_ITEM, seed=0),
        ]
        if not found:
            raise DataError(f"data source {name!r} has no held-out items to compare with")
        items += found
    return items
