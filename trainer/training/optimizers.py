"""Which optimizer updates which weight, and at which rate; states follow from gradients alone.

Weights are grouped by part (their rates differ), by whether weight decay reaches them, and by
optimizer. Muon takes the matrices inside the backbone's layers; embeddings, the heads, adapters and
everything that is no matrix stay with AdamW, as its authors advise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from typing_extensions import override

from trainer.model.backbone import Backbone
from trainer.model.low_rank import is_adapter
from trainer.strategy_config import StrategyConfig

_Group = tuple[str, bool, bool]
"""Part, whether it decays, whether Muon has it."""


def parameter_groups(
    model: nn.Module, backbone: Backbone, strategy: StrategyConfig
) -> list[dict[str, Any]]:
    """The weights that are trained, in groups of one rate each.

    Returns:
        Groups with `params`, `weight_decay`, `rate_factor` and `muon`, in a fixed order.
    """
    part_of = {
        id(parameter): part for part, weights in backbone.parts().items() for parameter in weights
    }
    outside = {id(weight) for weight in _word_embeddings(backbone)}
    groups: dict[_Group, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        part = "head" if name.startswith("head.") else part_of[id(parameter)]
        matrix = _dimensions(parameter) == 2
        muon = (
            strategy.optimizer == "muon"
            and matrix
            and part != "head"
            and not is_adapter(name)
            and id(parameter) not in outside
        )
        decays = _dimensions(parameter) > 1
        groups.setdefault((part, decays, muon), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": strategy.weight_decay if decays else 0.0,
            "rate_factor": getattr(strategy.rate_factors, part),
            "muon": muon,
        }
        for (part, decays, muon), parameters in sorted(groups.items(), key=lambda entry: entry[0])
    ]


def build_optimizer(
    groups: list[dict[str, Any]], strategy: StrategyConfig
) -> torch.optim.Optimizer:
    """The optimizer a strategy asks for, over the groups of `parameter_groups`."""
    if strategy.optimizer == "muon":
        return MuonWithAdamW(groups, lr=strategy.learning_rate, momentum=strategy.momentum)
    return torch.optim.AdamW(groups, lr=strategy.learning_rate, fused=True)


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for the groups marked `muon`, AdamW for the rest, under one state.

    Muon's updates are scaled to the size of AdamW's, so that one learning rate means the same for
    both.

    Source:
        Jordan et al. (2024), https://kellerjordan.github.io/posts/muon; the scale as in Liu et al.
        (arXiv 2502.16982), equation 4.
    """

    def __init__(self, groups: list[dict[str, Any]], *, lr: float, momentum: float) -> None:
        super().__init__(groups, {"lr": lr})
        self._inner: list[tuple[torch.optim.Optimizer, bool]] = []
        muon = [group for group in self.param_groups if group["muon"]]
        adam = [group for group in self.param_groups if not group["muon"]]
        if muon:
            inner = torch.optim.Muon(
                muon, lr=lr, momentum=momentum, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
            )
            self._inner.append((inner, True))
        if adam:
            self._inner.append((torch.optim.AdamW(adam, lr=lr, fused=True), False))
        self._join()

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every weight."""
        del closure  # DeepSpeed gives none
        for inner, _ in self._inner:
            inner.step()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's; the inner optimizers go on with what was loaded."""
        super().load_state_dict(state_dict)
        self._join()

    def _join(self) -> None:
        # The inner ones fill in their own defaults, and then look at our groups and states.
        for inner, has_muon in self._inner:
            mine = [group for group in self.param_groups if group["muon"] == has_muon]
            for group, known in zip(mine, inner.param_groups, strict=True):
                for name, value in known.items():
                    group.setdefault(name, value)
            inner.param_groups = mine
            inner.state = self.state


def _word_embeddings(backbone: Backbone) -> list[nn.Parameter]:
    ends = (backbone.module.get_input_embeddings(), backbone.module.get_output_embeddings())
    return [parameter for end in ends if end is not None for parameter in end.parameters()]


def _dimensions(parameter: nn.Parameter) -> int:
    # A weight that ZeRO-3 has partitioned already shows no shape of its own.
    return len(getattr(parameter, "ds_shape", parameter.shape))
