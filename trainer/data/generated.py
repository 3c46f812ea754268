"""`GeneratedSource`: sources whose items are drawn by code, group by group, from a seed.

A group's split follows from its name, so asking for more items, or with another seed, never moves
one across splits. Label noise touches training items only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice
from typing import ClassVar, Generic, TypeVar

from infra.frozen import Frozen
from trainer.data.items import PreferenceItem
from trainer.data.questions import with_label_noise
from trainer.data.splits import split_of
from trainer.evaluation_config import Fraction, Split
from trainer.identity import digest

DrawnGroup = tuple[str, Callable[[], list[PreferenceItem]]]
"""A group's name, and what makes its items once they are wanted."""

# One group in ten is a validation group; a split that is this much rarer has run out.
_GROUPS_PER_ITEM = 60
_GROUPS_AT_LEAST = 2000


class GeneratedSettings(Frozen):
    """What every generated source can be told."""

    label_noise: Fraction = 0.0
    """Probability that a training item's labels are the wrong way round; never in other splits."""


Settings = TypeVar("Settings", bound=GeneratedSettings)


class GeneratedSource(ABC, Generic[Settings]):
    """A `PreferenceSource` over groups that code draws."""

    settings_type: ClassVar[type[GeneratedSettings]]
    kind: ClassVar[str]
    version: ClassVar[str]
    """Raised whenever the same settings and seed would give other items."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def groups(self, seed: int) -> Iterator[DrawnGroup]:
        """The groups of a seed in their order, perhaps without end; no item comes twice."""

    def items(self, split: Split, count: int, *, seed: int) -> list[PreferenceItem]:
        """The first `count` items of a split; fewer when the source runs out."""
        noise = self.settings.label_noise if split == "train" else 0.0
        found: list[PreferenceItem] = []
        limit = _GROUPS_AT_LEAST + _GROUPS_PER_ITEM * count
        for group_id, build in islice(self.groups(seed), limit):
            if len(found) >= count:
                break
            if split_of(group_id) == split:
                found += build()
        found = found[:count]
        if noise > 0:
            found = [with_label_noise(item, noise, seed=seed) for item in found]
        return found

    def size(self, split: Split) -> int | None:
        """None: code draws as many as are asked for; else what a subclass says."""
        return None

    def digest(self, split: Split, count: int, *, seed: int) -> str:
        """Names the items `items` gives, without drawing them."""
        unused = set() if split == "train" else {"label_noise"}
        return digest(
            {
                "kind": self.kind,
                "version": self.version,
                "settings": self.settings.model_dump(mode="json", exclude=unused),
                "split": split,
                "count": count,
                "seed": seed,
            }
        )
