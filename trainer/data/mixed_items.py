"""`MixedItems`: the items of several sources, one after the other, each filled to its share."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import overload

from trainer.data.items import PreferenceItem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One source's share of a mix."""

    name: str
    items: Sequence[PreferenceItem]
    """Different items, at least one."""
    count: int
    """Items in the mix; more than there are: whole rounds first, the same items again."""

    def item(self, place: int) -> PreferenceItem:
        """The item at a place of the share, named after its source."""
        return named(self.name, self.items[place % len(self.items)])

    def different(self) -> Part:
        """The share without its repetitions."""
        return replace(self, count=min(self.count, len(self.items)))


class MixedItems(Sequence[PreferenceItem]):
    """A mix whose items are made when they are looked at."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(part.count for part in parts)]

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> PreferenceItem: ...
    @overload
    def __getitem__(self, index: slice) -> list[PreferenceItem]: ...
    def __getitem__(self, index: int | slice) -> PreferenceItem | list[PreferenceItem]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"item {index} of a mix of {len(self)}")
        part = bisect_right(self._starts, place) - 1
        return self._parts[part].item(place - self._starts[part])

    def __iter__(self) -> Iterator[PreferenceItem]:
        return (part.item(place) for part in self._parts for place in range(part.count))


@dataclass(frozen=True, slots=True, eq=False)
class ChosenItems(Sequence[PreferenceItem]):
    """Some of a sequence's items, by their places."""

    items: Sequence[PreferenceItem]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> PreferenceItem: ...
    @overload
    def __getitem__(self, index: slice) -> ChosenItems: ...
    def __getitem__(self, index: int | slice) -> PreferenceItem | ChosenItems:
        if isinstance(index, slice):
            return ChosenItems(self.items, self.places[index])
        return self.items[self.places[index]]


def mixed(parts: Sequence[Part]) -> Sequence[PreferenceItem]:
    """The mix: a list where its sources are lists, whose repeated items are the same objects."""
    if not all(isinstance(part.items, list) for part in parts):
        return MixedItems(parts)
    items: list[PreferenceItem] = []
    for part in parts:
        rounds = -(-part.count // len(part.items))
        items += ([named(part.name, item) for item in part.items] * rounds)[: part.count]
    return items


def named(name: str, item: PreferenceItem) -> PreferenceItem:
    """The item under its source's name, which makes its id unique."""
    return replace(item, item_id=f"{name}/{item.item_id}", source=name)
