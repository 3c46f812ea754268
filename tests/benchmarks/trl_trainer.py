"""TRL's own `RewardTrainer` on text pairs: same weights, same tokens, same batch, fp32."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    Qwen2ForSequenceClassification,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import RewardConfig, RewardTrainer

from tests.benchmarks.measuring import seconds_on
from tests.benchmarks.peer_graphs import CPU
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.model.backbone import Backbone
from trainer.model.head import RewardHead
from trainer.prompting.examples import Examples


class TrlTrainer:
    """One text reward model under TRL's training."""

    def __init__(
        self,
        backbone: Backbone,
        items: list[PreferenceItem],
        config: TrainerConfig,
        steps: int,
        device: torch.device = CPU,
    ) -> None:
        self._backbone = backbone
        examples = Examples(
            items, backbone, "scalar", critiques=False, frozen_vision=True, chunks=[[]]
        ).take(range(len(items)))
        self._rows = [
            [[*example.tree.trunk.tolist(), *branch.tolist()] for branch in example.tree.branches]
            for example in examples
        ]
        self.model = _classifier(backbone, config)
        self._device = device
        self._clock = _Clock(device)
        # A dropped pair would make the comparison unfair, so nothing is ever too long.
        folder = Path(tempfile.mkdtemp(prefix="rmsweep-trl-"))
        settings = RewardConfig(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=config.strategy.batch_pairs,
            learning_rate=config.strategy.learning_rate,
            max_length=None,
            gradient_checkpointing=False,
            bf16=config.strategy.precision == "bf16",
            use_cpu=device.type == "cpu",
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            optim="adamw_torch_fused",
        )
        self._trainer = RewardTrainer(
            model=self.model,
            args=settings,
            train_dataset=Dataset.from_dict(
                {
                    "chosen_ids": [chosen for chosen, _ in self._rows],
                    "rejected_ids": [rejected for _, rejected in self._rows],
                }
            ),
            processing_class=backbone.tokenizer,
            callbacks=[self._clock],
        )

    def steps(self) -> float:
        """A few optimizer steps; returns the seconds from the first to the end of the last."""
        self._trainer.train()
        return self._clock.seconds

    @torch.no_grad()
    def rewards(self, indices: list[int]) -> torch.Tensor:
        """Rewards of these items' responses, item by item, through TRL's own collator."""
        self.model.eval()
        pairs = [self._rows[index] for index in indices]
        batch = self._trainer.data_collator(
            [{"chosen_ids": chosen, "rejected_ids": rejected} for chosen, rejected in pairs]
        )
        rows = {name: batch[name].to(self._device) for name in ("input_ids", "attention_mask")}
        with torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._trainer.args.bf16
        ):
            rewards = self.model.to(self._device)(**rows).logits[:, 0].float()
        self.model.train()
        return torch.stack(rewards.chunk(2), 1).flatten()


class _Clock(TrainerCallback):  # type: ignore[misc]
    """Seconds between the begin and the end of a training, set-up excluded."""

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self._began = 0.0
        self._device = device

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **rest: Any,  # noqa: ANN401
    ) -> None:
        self._began = seconds_on(self._device)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **rest: Any,  # noqa: ANN401
    ) -> None:
        self.seconds = seconds_on(self._device) - self._began


def _classifier(backbone: Backbone, config: TrainerConfig) -> Qwen2ForSequenceClassification:
    settings = copy.deepcopy(backbone.module.config)
    settings.num_labels = 1
    settings._attn_implementation = "sdpa"
    model = Qwen2ForSequenceClassification(settings)
    model.model.load_state_dict(backbone.module.model.state_dict())
    head = RewardHead(config.head, backbone.hidden_size, seed=config.seed)
    with torch.no_grad():
        model.score.weight.copy_(head.layers[-1].weight)
    return model
