"""`RewardHead`: from pooled hidden states to scores, in float32 whatever the backbone computes in.

A bfloat16 head ties up to one pair in ten once scores drift from zero, so no cast ever reaches it.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from infra.errors import InputError
from trainer.extensions import load_part
from trainer.head_config import BUILT_IN_HEAD, Activation, HeadConfig

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "none": nn.Identity,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
}


class RewardHead(nn.Module):
    """One score per pooled state: linear layers with an activation between them, or a user's."""

    def __init__(self, config: HeadConfig, hidden_size: int, *, seed: int) -> None:
        super().__init__()
        own = config.kind != BUILT_IN_HEAD
        self.layers = (
            _own_head(config, hidden_size, seed) if own else _linear_layers(config, hidden_size)
        )
        self.attention: nn.Linear | None = None
        if config.pooling == "attention":
            self.attention = nn.Linear(hidden_size, 1, bias=False, dtype=torch.float32)
            nn.init.zeros_(self.attention.weight)  # starts as the mean
        self.log_scale: nn.Parameter | None = None
        if config.learn_scale:
            self.log_scale = nn.Parameter(torch.zeros(1, dtype=torch.float32))
        if not own:
            self._initialise(config, seed)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Scores [N] in float32 of pooled states [N, hidden]."""
        with torch.autocast(pooled.device.type, enabled=False):
            scores: torch.Tensor = self.layers(pooled.float())
            scores = scores.squeeze(-1) if scores.dim() > 1 else scores
            if scores.shape != pooled.shape[:1]:
                raise InputError(
                    f"a head must give one score per state, [{len(pooled)}], of states "
                    f"{list(pooled.shape)}; this one gave {list(scores.shape)}"
                )
            return scores if self.log_scale is None else scores * self.log_scale.exp()

    def attend(self, states: torch.Tensor) -> torch.Tensor:
        """How much each of some states [..., hidden] counts when they are pooled, as logits [...].

        Only with pooling `attention`. The states are normalised by the backbone, so their product
        with the query is divided by sqrt(hidden), as in any attention.
        """
        assert self.attention is not None
        with torch.autocast(states.device.type, enabled=False):
            logits: torch.Tensor = self.attention(states.float()).squeeze(-1)
        return logits / math.sqrt(states.shape[-1])

    def _initialise(self, config: HeadConfig, seed: int) -> None:
        # A generator of its own: the head starts the same whatever was drawn before it.
        generator = torch.Generator().manual_seed(seed)
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            for layer in linear:
                last = layer is linear[-1]
                scale = config.initial_scale if last else 1.0
                layer.weight.normal_(std=scale / math.sqrt(layer.in_features), generator=generator)
                layer.bias.zero_()


def _linear_layers(config: HeadConfig, hidden_size: int) -> nn.Sequential:
    width = config.hidden_size or hidden_size
    sizes = [hidden_size, *[width] * (config.layers - 1), 1]
    layers: list[nn.Module] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        if index:
            layers.append(ACTIVATIONS[config.activation]())
        if config.dropout:
            layers.append(nn.Dropout(config.dropout))
        layers.append(nn.Linear(fan_in, fan_out, dtype=torch.float32))
    return nn.Sequential(*layers)


def _own_head(config: HeadConfig, hidden_size: int, seed: int) -> nn.Sequential:
    """What an installed package makes of the config, in float32.

    Raises:
        InputError: If there is no such head, or what it builds is no module.
    """
    build = load_part("rmsweep.heads", config.kind)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        head = build(config, hidden_size)
    if not isinstance(head, nn.Module):
        raise InputError(
            f"head {config.kind!r} must build a torch.nn.Module, got {type(head).__name__}"
        )
    return nn.Sequential(head.float())
