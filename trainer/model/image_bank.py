"""`ImageBank`: every image of a list of items decoded, processed and (when frozen) encoded once.

Frozen features are computed in chunks that are fixed beforehand, never in whatever company a
batch happens to bring: a batched matrix product rounds differently with other neighbours, and a
resumed training has to repeat the first one bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from infra.errors import DataError
from trainer.data.items import ImageReference, PreferenceItem
from trainer.grouping import groups_within
from trainer.model.backbone import Backbone
from trainer.model.backbone_inputs import ImageInput, VisionFeatures, join_features

MEMORY_LIMIT_BYTES = 2 * 1024**3
"""Of cached features, and of cached pixels."""

TOKENS_AT_ONCE = 4096
"""Of images encoded in one call: by arithmetic about 1 GB in a vision tower of Qwen2.5-VL's. An
image with more is alone."""

Images = tuple[ImageReference, ...]
"""Of one item."""

ImageKey = tuple[str, bool]
"""Content key, and whether the image is alone in its prompt (some families tile only then)."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchImages:
    """The distinct images of one batch: encoded already, or to be encoded by the model."""

    features: VisionFeatures | None
    inputs: tuple[ImageInput, ...]
    index: dict[ImageKey, int]

    @property
    def empty(self) -> bool:
        """Whether the batch shows no image."""
        return not self.index


class ImageBank:
    """Images of some items, in fixed chunks."""

    def __init__(
        self,
        backbone: Backbone,
        chunks: Iterable[Sequence[PreferenceItem]],
        *,
        frozen: bool,
        lasting: bool = True,
    ) -> None:
        """Look through the chunks once.

        Args:
            backbone: Processes and encodes.
            chunks: Items that are encoded together.
            frozen: Whether features may be kept.
            lasting: Whether the items live elsewhere for as long as this does. If not they are made
                anew at every look, and only their images are kept.
        """
        self._backbone = backbone
        self._frozen = frozen
        self._lasting = lasting
        self._items: list[PreferenceItem] = []  # kept alive, because ids name them below
        self._keys: dict[int, tuple[ImageKey, ...]] = {}
        self._chunk_of: dict[ImageKey, int] = {}
        self._chunks: list[list[Images]] = []
        self.chunk_keys: list[list[ImageKey]] = []
        """By chunk, the images that no chunk before it shows."""
        for chunk in chunks:
            fresh = []
            new: list[ImageKey] = []
            for item in chunk:
                keys = [key for key in self.keys(item) if key not in self._chunk_of]
                self._chunk_of.update(dict.fromkeys(keys, len(self._chunks)))
                new += dict.fromkeys(keys)
                if keys:
                    fresh.append(item.images)
            self._chunks.append(fresh)
            self.chunk_keys.append(new)
        self._inputs: dict[ImageKey, ImageInput] = {}
        self._shapes: dict[ImageKey, ImageInput] = {}
        self._features: dict[ImageKey, VisionFeatures] = {}
        self._pixel_bytes = 0
        self._caches: bool | None = None

    def keys(self, item: PreferenceItem) -> tuple[ImageKey, ...]:
        """What tells an item's images from all others."""
        if not self._lasting:
            return _keys_of(item.images)
        known = self._keys.get(id(item))
        if known is None:
            # A drawn image spells out its whole scene to name itself, so names are kept.
            known = self._keys[id(item)] = _keys_of(item.images)
            self._items.append(item)
        return known

    def shapes(self, item: PreferenceItem) -> list[ImageInput]:
        """Token counts and grids of an item's images; pixels may be missing."""
        if any(key not in self._shapes for key in self.keys(item)):
            self.inputs(item)
        return [self._shapes[key] for key in self.keys(item)]

    def inputs(self, item: PreferenceItem) -> list[ImageInput]:
        """An item's images, processed."""
        keys = self.keys(item)
        if any(key not in self._inputs for key in keys):
            if not self._backbone.takes_images:
                raise DataError(
                    f"item {item.item_id!r} of source {item.source!r} has an image, but the "
                    "backbone takes text only; use a vision-language backbone or text-only data"
                )
            try:
                return self._load(item.images, keys)
            except DataError as error:
                raise DataError(
                    f"item {item.item_id!r} of source {item.source!r} cannot be shown: {error}"
                ) from error
        return [self._inputs[key] for key in keys]

    def _load(self, images: Images, keys: Sequence[ImageKey]) -> list[ImageInput]:
        shown = [image.load() for image in images]
        try:
            loaded = self._backbone.image_inputs(shown)
        except ValueError as error:  # a vendor's processor refuses, say, what is very long and thin
            told = ", ".join(
                f"{getattr(image, 'path', image.key)} of {each.width} x {each.height} pixels"
                for image, each in zip(images, shown, strict=True)
            )
            raise DataError(
                f"this backbone cannot take the image {told}: {error}; leave its rows out"
            ) from error
        for key, image in zip(keys, loaded, strict=True):
            self._remember(key, image)
        return loaded

    def batch(self, items: Sequence[PreferenceItem]) -> BatchImages:
        """The distinct images of these items, encoded if they are frozen and fit in memory."""
        distinct: dict[ImageKey, int] = {}
        for item in items:
            for key in self.keys(item):
                distinct.setdefault(key, len(distinct))
        if not distinct:
            return BatchImages(None, (), {})
        if self.keeps_features:
            self.encode(items)
            parts = [self._features[key] for key in distinct]
            return BatchImages(join_features(parts), (), distinct)
        by_key: dict[ImageKey, ImageInput] = {}
        for item in items:
            by_key.update(zip(self.keys(item), self.inputs(item), strict=True))
        return BatchImages(None, tuple(by_key[key] for key in distinct), distinct)

    def encode(self, items: Sequence[PreferenceItem]) -> None:
        """Compute the frozen features of these items' chunks that are still missing."""
        missing = {
            self._chunk_of[key]
            for item in items
            for key in self.keys(item)
            if key not in self._features
        }
        for index in sorted(missing):
            self._encode_chunk(index)

    @property
    def encoded_in_model(self) -> bool:
        """Whether a forward pass may have to run the vision tower."""
        return bool(self._chunk_of) and not self.keeps_features

    def encode_chunks(self, indices: Iterable[int]) -> None:
        """Compute the frozen features of whole chunks."""
        for index in indices:
            self._encode_chunk(index)

    def features_of(self, keys: Iterable[ImageKey]) -> list[tuple[ImageInput, VisionFeatures]]:
        """Encoded images with their shapes, one by one."""
        return [(self._shapes[key], self._features[key]) for key in keys]

    def know(self, key: ImageKey, shape: ImageInput, features: VisionFeatures) -> None:
        """Take an image's features from who has encoded it; it is neither loaded nor encoded."""
        self._shapes[key] = shape
        self._features[key] = features

    @torch.no_grad()
    def _encode_chunk(self, index: int) -> None:
        wanted: dict[ImageKey, ImageInput] = {}
        for images in self._chunks[index]:
            keys = _keys_of(images)
            known = [self._inputs.get(key) for key in keys]
            found = [each for each in known if each is not None]
            inputs = found if len(found) == len(keys) else self._load(images, keys)
            for key, image in zip(keys, inputs, strict=True):
                if self._chunk_of[key] == index and key not in self._features:
                    wanted[key] = image
        if not wanted:
            return
        module = self._backbone.module
        training = module.training
        module.eval()
        sized = [(key, image.tokens) for key, image in wanted.items()]
        for group in groups_within(TOKENS_AT_ONCE, sized):
            features = self._backbone.vision_features([wanted[key] for key in group])
            for position, key in enumerate(group):
                # A device's memory is for what moves; a batch brings its own there.
                self._features[key] = features.select([position]).apply(_apart_on_the_cpu)
                dropped = self._inputs.pop(key, None)
                self._pixel_bytes -= 0 if dropped is None else _size(dropped)
        module.train(training)

    @property
    def keeps_features(self) -> bool:
        """Whether features are computed once: they are frozen, and there are not too many."""
        if not self._frozen or not self._chunk_of:
            return False
        if self._caches is None:
            first = next(images for chunk in self._chunks for images in chunk)
            key = _keys_of(first)[0]
            if key not in self._shapes:
                self._load(first, _keys_of(first))
            each = self._backbone.feature_bytes(self._shapes[key].tokens)
            self._caches = each * len(self._chunk_of) <= MEMORY_LIMIT_BYTES
        return self._caches

    def _remember(self, key: ImageKey, image: ImageInput) -> None:
        self._shapes[key] = replace(image, pixels=image.pixels.new_zeros(0))
        if key not in self._inputs and self._pixel_bytes + _size(image) <= MEMORY_LIMIT_BYTES:
            self._inputs[key] = image
            self._pixel_bytes += _size(image)


def _keys_of(images: Images) -> tuple[ImageKey, ...]:
    alone = len(images) == 1
    return tuple((image.key, alone) for image in images)


def _apart_on_the_cpu(block: torch.Tensor) -> torch.Tensor:
    return block.to("cpu", copy=True)


def _size(image: ImageInput) -> int:
    return image.pixels.numel() * image.pixels.element_size()
