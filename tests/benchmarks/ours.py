"""Our trainer as it trains: `TrainingLoop` over DeepSpeed, in this process, one rank."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from pathlib import Path

import torch

from infra.object_store import LocalStore
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.gangs.gang import Gang
from trainer.model.backbone import Backbone
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Examples
from trainer.reporting import Answer, TrialReport
from trainer.training.checkpoint import Checkpoints
from trainer.training.data_order import DataOrder
from trainer.training.deepspeed_engine import DeepSpeedEngine, join_gang
from trainer.training.loop import LoopParts, TrainingLoop


class OurTrainer:
    """One reward model under training, the given backbone inside."""

    def __init__(
        self, backbone: Backbone, items: list[PreferenceItem], config: TrainerConfig, gang: Gang
    ) -> None:
        self.model = RewardModel(backbone, config).to(gang.device)
        batch = config.strategy.batch_pairs
        order = DataOrder(len(items), batch=batch, seed=config.seed)
        self.examples = Examples(
            items,
            self.model.backbone,
            config.paradigm,
            critiques=False,
            frozen_vision=not self.model.vision_is_trained,
            chunks=[order.step(step) for step in range(-(-len(items) // batch))],
            share_prompts=config.machine.share_prompts,
        )
        self._folder = tempfile.TemporaryDirectory(prefix="rmsweep-benchmark-")
        store = LocalStore(Path(self._folder.name))
        self._loop = TrainingLoop(
            LoopParts(
                config=config,
                engine=lambda phase: DeepSpeedEngine(self.model, config, gang, phase),
                examples=self.examples,
                gang=gang,
                checkpoints=Checkpoints(store, "benchmark", config, gang),
                reporter=_Deaf(),
                monitor=dict,
                stop_asked=lambda: False,
                started=time.monotonic(),
            ),
            resume_from=None,
        )
        self._loop.engine.module.train()

    def step(self) -> None:
        """One optimizer step."""
        self._loop.train_step()

    @torch.no_grad()
    def rewards(self, indices: list[int]) -> torch.Tensor:
        """Rewards of these items' responses, item by item."""
        self.model.eval()
        rewards = self.model(self.examples.batch(indices))["scores"]
        self.model.train()
        return torch.as_tensor(rewards)


class _Deaf:
    def report(self, report: TrialReport) -> Answer:
        del report
        return "continue"


def alone(config: TrainerConfig) -> Gang:
    """A gang of this process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return join_gang(config)
