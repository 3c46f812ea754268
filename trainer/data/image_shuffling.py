"""Items with other items' images: what a model still gets right then, the text alone told it.

Invariant: an item never keeps an image of its own group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from infra.errors import DataError
from trainer.data.items import PreferenceItem
from trainer.data.randomness import key_digest


class UnshuffledImagesError(DataError):
    """These items have no images, or too few groups to exchange them between."""


def with_shuffled_images(items: Sequence[PreferenceItem]) -> list[PreferenceItem]:
    """Every item that has images with those of another group; ids, labels and order stay.

    Images come from the same source and category where that has groups enough, else from the same
    source. Items without images are left out: nothing about them would change.

    Raises:
        UnshuffledImagesError: If no item has an image, or a source's items with as many images are
            all, or mostly, of one group.
    """
    items = [item for item in items if item.images]
    if not items:
        raise UnshuffledImagesError("no item has an image, so there are none to be shuffled")
    result = list(items)
    wide: dict[tuple[object, ...], list[int]] = defaultdict(list)
    narrow: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        wide[item.source, len(item.images)].append(place)
        narrow[item.source, len(item.images), item.category].append(place)
    alone = {key for key, places in narrow.items() if _rotation(items, places) is None}
    for key, places in narrow.items():
        # A category with too few groups borrows images from its whole source.
        lenders = wide[key[:2]] if key in alone else places
        rotated = _rotation(items, lenders)
        if rotated is None:
            raise UnshuffledImagesError(
                f"the images of data source {key[0]!r} cannot be shuffled: of {len(lenders)} items "
                "more than half are of one group; ask for more items"
            )
        for place in places:
            result[place] = replace(items[place], images=items[rotated[place]].images)
    return result


def _rotation(items: Sequence[PreferenceItem], places: Sequence[int]) -> dict[int, int] | None:
    """For every place another place of another group, each used once; none where impossible."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place in places:
        groups[items[place].group_id].append(place)
    largest = max(len(members) for members in groups.values())
    if 2 * largest > len(places):
        return None
    # Members of a group stand together, so a turn by the largest group's size leaves every group.
    names = sorted(groups, key=lambda name: key_digest("shuffle", name))
    ordered = [place for name in names for place in groups[name]]
    turned = ordered[largest:] + ordered[:largest]
    return dict(zip(ordered, turned, strict=True))
