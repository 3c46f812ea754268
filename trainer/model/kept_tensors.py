"""Tensors that are computed once and kept in the object store, for every trial that needs them.

A file's key is a digest of all its tensors depend on; its own digest lies in it. One that is gone
or damaged is no error: whoever finds it so computes it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from infra.errors import MissingObjectError
from infra.object_store import ObjectStore
from trainer.gangs.gang import Gang


def packed(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """One file of these tensors, with the digest of their content."""
    return save(dict(tensors), metadata={"sha256": _content(tensors)})


def unpacked(data: bytes) -> dict[str, torch.Tensor] | None:
    """The tensors of a file, or none where they are not the ones it was made of."""
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        recorded = json.loads(data[8 : 8 + length])["__metadata__"]["sha256"]
    except (SafetensorError, ValueError, KeyError):
        return None
    return tensors if _content(tensors) == recorded else None


def fetched(store: ObjectStore, key: str, gang: Gang) -> dict[str, torch.Tensor] | None:
    """The tensors kept under a key, on every rank; none where they are gone or damaged.

    Every rank takes part; rank 0 reads.

    Raises:
        StoreError: If the store does not answer.
    """
    data, tensors = b"", None
    if gang.leads:
        try:
            data = store.read(key)
        except MissingObjectError:
            data = b""
        tensors = unpacked(data)
    if gang.size == 1:
        return tensors
    data = gang.hear(b"" if tensors is None else data)
    return load(data) if data else None


def _content(tensors: Mapping[str, torch.Tensor]) -> str:
    told = hashlib.sha256()
    for name in sorted(tensors):
        told.update(tensors[name].contiguous().view(-1).numpy().data)
    return told.hexdigest()
