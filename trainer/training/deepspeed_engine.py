"""`DeepSpeedEngine`: the only door to DeepSpeed; optimizer, ZeRO, clipping and its own shards.

Precision is autocast inside the model, so weights, gradients and optimizer states stay float32 at
every ZeRO stage and the head never leaves it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch._dynamo  # ZeRO-3 patches Tensor.__new__, and importing this later then fails
from deepspeed.ops import __compatible_ops__ as compatible_operations
from torch import nn

from infra.errors import InputError
from trainer.config import TrainerConfig
from trainer.gangs.gang import Gang
from trainer.model.reward_model import RewardModel
from trainer.phases import Phase
from trainer.training.optimizers import build_optimizer, parameter_groups

TAG = "shards"
"""Folder inside a checkpoint that holds DeepSpeed's files."""

COLLECTIVE_TIMEOUT = timedelta(minutes=10)


def join_gang(config: TrainerConfig) -> Gang:
    """Meet the other ranks, as RANK, WORLD_SIZE and MASTER_* in the environment say."""
    # The op only serves inference, takes a compiler and a minute to build, and leaves a lock
    # behind when killed that makes every later training on the machine wait forever.
    compatible_operations["deepspeed_shm_comm"] = False
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    deepspeed.init_distributed(
        dist_backend="nccl" if on_gpu else "gloo", timeout=COLLECTIVE_TIMEOUT, verbose=False
    )
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if size != config.machine.workers:
        raise InputError(f"machine.workers is {config.machine.workers}, but {size} ranks came")
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    return Gang(rank, size, device)


class DeepSpeedEngine:
    """One model in one phase of its training."""

    def __init__(self, model: RewardModel, config: TrainerConfig, gang: Gang, phase: Phase) -> None:
        self._strategy = config.strategy
        self._phase = phase
        self._gang = gang
        self._clips_itself = config.machine.zero_stage == 0
        model.begin_phase(phase.freeze)
        groups = parameter_groups(model, model.backbone, config.strategy)
        if not groups:
            raise InputError("strategy.freeze leaves nothing to train; free a part of the backbone")
        self._trained = [p for group in groups for p in group["params"]]
        self._factors = [group["rate_factor"] for group in groups]
        optimizer = build_optimizer(groups, config.strategy)
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=model,
            model_parameters=self._trained,
            optimizer=optimizer,
            config=_settings(config, gang.size),
            dist_init_required=False,
        )
        self.module = self._engine.module

    def __call__(self, batch: Any, *, last: bool, **kwargs: Any) -> Any:  # noqa: ANN401 -- the model's own
        """The model, under DeepSpeed's hooks.

        Args:
            batch: Of one micro batch.
            last: Whether it is the step's last one, after whose backward ranks exchange gradients.
            kwargs: The model's own.
        """
        self._engine.set_gradient_accumulation_boundary(last)
        return self._engine(batch, **kwargs)

    def backward(self, loss: torch.Tensor) -> None:
        """Adds a micro batch's part of the step's loss; parts of all ranks add up."""
        # DeepSpeed averages over ranks; the parts are already shares of a sum.
        self._engine.backward(loss * self._gang.size)

    def step(self, step: int) -> float:
        """After the last micro batch of this step: clip, update, return the gradient norm."""
        rate = self._phase.rate(step, self._strategy)
        for group, factor in zip(self._optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor
        if self._clips_itself:
            # Without ZeRO DeepSpeed clips as well, but does not tell the norm.
            norm = nn.utils.clip_grad_norm_(self._trained, self._strategy.gradient_clipping)
            self._engine.step()
            return float(norm)
        self._engine.step()
        return float(self._engine.get_global_grad_norm())

    def next_micro_batch(self) -> None:
        """After every other micro batch: let DeepSpeed count it."""
        self._engine.step()

    def save(self, folder: Path) -> None:
        """Write this rank's shards into the folder."""
        self._engine.save_checkpoint(str(folder), tag=TAG, save_latest=False)

    def load(self, folder: Path) -> None:
        """Read the shards `save` wrote, with the same ranks and ZeRO stage.

        They are pickles: only read what came with the right digest.
        """
        self._engine.load_checkpoint(str(folder), tag=TAG)

    def gathered(self, *, changed: bool = False) -> Any:  # noqa: ANN401 -- DeepSpeed's own
        """A context in which every rank holds the whole weights, also under ZeRO-3.

        Args:
            changed: Keep what rank 0 makes of them; otherwise changes are lost under ZeRO-3.
        """
        return deepspeed.zero.GatheredParameters(
            list(self.module.parameters()),
            modifier_rank=0 if changed else None,
            enabled=self._engine.zero_optimization_stage() == 3,
        )

    def end(self) -> None:
        """Let go of the model, whose weights stay as they are, for another engine."""
        self._engine.destroy()


def _settings(config: TrainerConfig, size: int) -> dict[str, Any]:
    stage = config.machine.zero_stage
    return {
        # Steps differ in their number of micro batches, so DeepSpeed is told which one is the last.
        "train_batch_size": config.strategy.batch_pairs,
        "train_micro_batch_size_per_gpu": config.strategy.batch_pairs // size,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.strategy.gradient_clipping if stage else 0.0,
        "zero_optimization": {"stage": stage},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }
