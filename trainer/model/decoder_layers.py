"""Scores read from an inner layer of the decoder: either the rest is cut off, or it is listened to.

Layers are counted from 1, and layer `k` means what it puts out: `k` of `L` layers are computed, and
with `k == L` nothing changes. An inner layer's output passes the decoder's last norm, as the last
layer's does: the residual stream grows with depth by orders of magnitude, and a head that starts at
one scale should see one scale.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from infra.errors import BackboneError


def check_layer(module: PreTrainedModel, layer: int) -> None:
    """Raises `BackboneError` unless the decoder has this layer."""
    count = len(_decoder(module).layers)
    if layer > count:
        raise BackboneError(
            f"head.hidden_layer is {layer}, but the backbone has {count} layers; name one of 1 to "
            f"{count}, or leave it out for the last"
        )


def cut_after(module: PreTrainedModel, layer: int) -> None:
    """Drop the layers above one, and say so in the config, so that the rest saves and loads."""
    decoder = _decoder(module)
    if layer == len(decoder.layers):
        return
    decoder.layers = decoder.layers[:layer]
    text = module.config.get_text_config()
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layer]
    text.num_hidden_layers = layer


class LayerReader:
    """The normalised output of one layer, while the others go on above it."""

    def __init__(self, module: PreTrainedModel, layer: int) -> None:
        self._decoder = _decoder(module)
        self._seen: torch.Tensor | None = None
        self._decoder.layers[layer - 1].register_forward_hook(self._see)

    def take(self) -> torch.Tensor:
        """[B, L, H] of the last run; to be asked for once."""
        assert self._seen is not None
        seen, self._seen = self._seen, None
        return torch.as_tensor(self._decoder.norm(seen))

    def _see(self, _module: nn.Module, _inputs: object, output: object) -> None:
        self._seen = torch.as_tensor(output[0] if isinstance(output, tuple) else output)


def _decoder(module: PreTrainedModel) -> Any:  # noqa: ANN401 -- every family has a class of its own
    return module.get_decoder()
