"""Low-rank adapters on a backbone: put in for training, merged in place before anything is saved.

Between the two, the weights they stand on rest. The saved model is a plain one: whoever loads it
needs neither peft nor this project. The model that is evaluated is the merged one, so that loading
it again gives the same scores.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from infra.errors import BackboneError, InputError
from infra.findings import hint
from trainer.model.backbone import Backbone
from trainer.strategy_config import LoraConfig

ADAPTED = ("vision", "language_model")
"""Parts that can have adapters."""


def is_adapter(name: str) -> bool:
    """Whether a weight of that name belongs to an adapter."""
    return ".lora_" in name


def add_adapters(
    backbone: Backbone, lora: LoraConfig, *, parts: tuple[str, ...], seed: int
) -> None:
    """Put adapters on the linear layers of some parts of a backbone.

    Args:
        backbone: Changed in place.
        lora: Rank, scale and which layers.
        parts: Those of `ADAPTED` that are ever trained; none is no change.
        seed: Of the adapters' first weights; their product starts at zero anyway.

    Raises:
        BackboneError: If a target names no linear layer; lists those there are.
        InputError: If peft is not installed.
    """
    names = _target_layers(backbone, lora, parts)
    if not names:
        return
    try:
        from peft import LoraConfig as PeftConfig
        from peft import inject_adapter_in_model
    except ImportError as error:
        raise InputError(
            "strategy.lora needs the package peft: install it (pip install 'rmsweep[lora]'), or "
            "set strategy.lora.rank to 0"
        ) from error
    config = PeftConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=names
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(config, backbone.module)


def weights_under_adapters(backbone: Backbone) -> list[nn.Parameter]:
    """All weights, adapters aside, of the parts that have adapters."""
    names = {id(weight): name for name, weight in backbone.module.named_parameters()}
    return [
        weight
        for weights in backbone.parts().values()
        if any(is_adapter(names[id(weight)]) for weight in weights)
        for weight in weights
        if not is_adapter(names[id(weight)])
    ]


def merge_adapters(module: nn.Module) -> None:
    """Add every adapter to the weight it stands on; from here on it has no part in a forward pass.

    The weights must be whole (gathered, under ZeRO-3).
    """
    for layer in _adapted_layers(module):
        layer.merge()


def plain_state(module: nn.Module) -> dict[str, torch.Tensor] | None:
    """The weights under the names they have without adapters; None when there are none.

    Raises:
        AssertionError: If the adapters are not merged yet.
    """
    layers = _adapted_layers(module)
    if not layers:
        return None
    assert all(layer.merged for layer in layers)
    return {
        name.replace(".base_layer.", "."): value
        for name, value in module.state_dict().items()
        if not is_adapter(name)
    }


def _adapted_layers(module: nn.Module) -> list[Any]:
    return [layer for layer in module.modules() if hasattr(layer, "lora_A")]


def _target_layers(backbone: Backbone, lora: LoraConfig, parts: tuple[str, ...]) -> list[str]:
    """Full names of the layers that get an adapter."""
    ends = (backbone.module.get_input_embeddings(), backbone.module.get_output_embeddings())
    adapted = {id(weight) for part in parts for weight in backbone.parts()[part]}
    layers = [
        name
        for name, layer in backbone.module.named_modules()
        if isinstance(layer, nn.Linear) and layer not in ends and id(layer.weight) in adapted
    ]
    known = sorted({name.rpartition(".")[2] for name in layers})
    unknown = [target for target in lora.targets if target not in known]
    if unknown and parts:
        raise BackboneError(
            f"strategy.lora.targets names {', '.join(unknown)}, but the linear layers of "
            f"{' and '.join(parts)} are {', '.join(known)}{hint(unknown[0], known)}"
        )
    return [name for name in layers if not lora.targets or name.rpartition(".")[2] in lora.targets]
