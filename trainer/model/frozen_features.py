"""Features of a frozen vision tower: computed once per content, shared between trials.

Trials of one sweep show the same images, in another order with every seed. Features are computed
in chunks fixed by the items alone and kept in the object store, as pooled states are: of tiny
models reading and checking them takes a hundredth of computing them. Their size is bounded by what
`ImageBank` keeps. Letters: I images, T tokens of them all, H hidden size, G numbers of a grid.
"""

from __future__ import annotations

import torch

from infra.object_store import ObjectStore
from trainer.gangs.gang import Gang
from trainer.identity import SCORING_VERSION, TRAINER_VERSION, digest
from trainer.kept_places import VISION_FEATURES
from trainer.model.backbone_inputs import ImageInput, VisionFeatures
from trainer.model.image_bank import ImageBank, ImageKey
from trainer.model.kept_tensors import fetched, packed, unpacked

CHUNK_ITEMS = 64
"""Items of a training whose new images are encoded together."""


def features_key(bank: ImageBank, backbone_digest: str) -> str:
    """Where the features of a bank's images lie in an object store."""
    facts = {
        "backbone": backbone_digest,
        "chunks": bank.chunk_keys,
        "versions": [TRAINER_VERSION, SCORING_VERSION],
    }
    return f"{VISION_FEATURES}{digest(facts)}.safetensors"


class FrozenFeatures:
    """Finds or computes the features of whole banks, for one backbone."""

    def __init__(
        self, *, store: ObjectStore | None, gang: Gang, backbone_digest: str | None
    ) -> None:
        """Without a store or a digest, features are computed and not kept."""
        self._store = store
        self._gang = gang
        self._digest = backbone_digest

    def give(self, bank: ImageBank) -> None:
        """Let a bank know the features of all its images, where it keeps any.

        Every rank takes part, so that none needs the vision tower's weights later.

        Raises:
            DataError: If an image cannot be used.
            StoreError: If the store does not answer.
        """
        if not bank.keeps_features:
            return
        keys = [key for chunk in bank.chunk_keys for key in chunk]
        store, key = self._store, None
        if store is not None and self._digest is not None:
            key = features_key(bank, self._digest)
            known = fetched(store, key, self._gang)
            if known is not None:
                _take(bank, keys, known)
                return
        self._compute(bank)
        if store is not None and key is not None and self._gang.leads:
            store.write(key, packed(_tensors(bank, keys)))

    def _compute(self, bank: ImageBank) -> None:
        """Every rank encodes some of the chunks, and all tell one another."""
        size, count = self._gang.size, len(bank.chunk_keys)
        bank.encode_chunks(range(self._gang.rank, count, size))
        if size == 1:
            return
        shares = [
            [key for index in range(rank, count, size) for key in bank.chunk_keys[index]]
            for rank in range(size)
        ]
        mine = shares[self._gang.rank]
        told = self._gang.gather(packed(_tensors(bank, mine)) if mine else b"")
        for rank, (share, data) in enumerate(zip(shares, told, strict=True)):
            if share and rank != self._gang.rank:
                tensors = unpacked(data)
                assert tensors is not None, "what a rank told arrived damaged"
                _take(bank, share, tensors)


def _tensors(bank: ImageBank, keys: list[ImageKey]) -> dict[str, torch.Tensor]:
    """`tokens` [T, H], `lengths` [I], `grids` [I, G], `deepstack` [T, layers, H] if any."""
    shapes, features = zip(*bank.features_of(keys), strict=True)
    tensors = {
        "tokens": torch.cat([each.tokens[0] for each in features]).cpu(),
        "lengths": torch.tensor([shape.tokens for shape in shapes]),
        "grids": torch.tensor([shape.grid for shape in shapes]),
    }
    if features[0].deepstack:
        layers = [torch.stack(each.deepstack[0], 1) for each in features]
        tensors["deepstack"] = torch.cat(layers).cpu()
    return tensors


def _take(bank: ImageBank, keys: list[ImageKey], tensors: dict[str, torch.Tensor]) -> None:
    lengths = tensors["lengths"].tolist()
    blocks = torch.split(tensors["tokens"], lengths)
    deeper = torch.split(tensors["deepstack"], lengths) if "deepstack" in tensors else None
    for place, key in enumerate(keys):
        layers = () if deeper is None else (deeper[place].unbind(1),)
        shape = ImageInput(
            pixels=torch.zeros(0),
            tokens=lengths[place],
            grid=tuple(tensors["grids"][place].tolist()),
            alone=key[1],
        )
        bank.know(key, shape, VisionFeatures((blocks[place],), layers))
