"""Which loss ranked pairs are trained with: the built-in one, or one that a package brings."""

from __future__ import annotations

from typing import Protocol

import torch

from infra.errors import InputError
from trainer.config import TrainerConfig
from trainer.extensions import load_part
from trainer.strategy_config import BUILT_IN_PAIR_LOSS, StrategyConfig
from trainer.training.losses import pair_losses


class PairLoss(Protocol):
    """What an entry point of `rmsweep.losses` names; `losses.pair_losses` is the built-in one."""

    def __call__(
        self,
        chosen: torch.Tensor,
        rejected: torch.Tensor,
        strategy: StrategyConfig,
        /,
        *,
        margins: torch.Tensor,
        soft_labels: torch.Tensor,
    ) -> torch.Tensor:
        """The loss of each pair [P], unreduced, from its scores, margins and soft labels [P]."""
        ...


def pair_loss_of(config: TrainerConfig) -> PairLoss:
    """The loss of ranked pairs a config asks for; one of a user's own is checked as it is used.

    Raises:
        InputError: If no installed package brings it.
    """
    strategy = config.strategy
    if strategy.pair_loss == BUILT_IN_PAIR_LOSS or config.paradigm == "generative":
        return pair_losses
    own: PairLoss = load_part("rmsweep.losses", strategy.pair_loss)

    def checked(
        chosen: torch.Tensor,
        rejected: torch.Tensor,
        strategy: StrategyConfig,
        *,
        margins: torch.Tensor,
        soft_labels: torch.Tensor,
    ) -> torch.Tensor:
        losses = own(chosen, rejected, strategy, margins=margins, soft_labels=soft_labels)
        if losses.shape != chosen.shape:
            # A mean over the pairs would broadcast, and the items' weights would be lost.
            raise InputError(
                f"pair loss {strategy.pair_loss!r} must give one loss per pair, "
                f"{list(chosen.shape)}, got {list(losses.shape)}"
            )
        return losses

    return checked
