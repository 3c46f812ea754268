"""The training graphs of public trainers, re-created from their code (not the trainers themselves).

Both encode prompt and images once for the chosen and once for the rejected response, in one batch
of 2B rows, right-padded to the longest of them all, in the order the data comes.

- graph A (LLaMA-Factory v0): the language head on every token, and every layer's states kept
- graph B (ms-swift, LightRFT): no language head, the score read on every token

Images are processed and texts tokenized before a step, as they are for ours.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.model.backbone import Backbone
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Examples, TokenizedExample
from trainer.training.data_order import DataOrder

Graph = Literal["A", "B"]
CPU = torch.device("cpu")


class PeerGraph:
    """One graph under training, the given backbone inside, with the optimizer all contestants use.

    Weights are float32, and with precision bf16 autocast, as those trainers are run and as ours is.
    """

    def __init__(
        self,
        graph: Graph,
        backbone: Backbone,
        items: list[PreferenceItem],
        config: TrainerConfig,
        device: torch.device = CPU,
    ) -> None:
        model = RewardModel(backbone, config).to(device).train()
        assert model.head is not None
        self._graph = graph
        self._device = device
        self._low = config.strategy.precision == "bf16"
        self._backbone = model.backbone
        self._head = model.head
        examples = Examples(
            items,
            model.backbone,
            "scalar",
            critiques=False,
            frozen_vision=False,
            chunks=[range(len(items))],
        )
        self._examples = examples.take(range(len(items)))
        self._images = [examples.images.inputs(item) for item in items]
        self._order = DataOrder(len(items), batch=config.strategy.batch_pairs, seed=config.seed)
        self._trained = [weight for weight in model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trained, lr=config.strategy.learning_rate, weight_decay=0.0, fused=True
        )
        self._step = 0

    def step(self) -> None:
        """One optimizer step."""
        chosen, rejected = self.rewards(self._order.step(self._step)).chunk(2)
        loss = -nn.functional.logsigmoid(chosen - rejected).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._step += 1

    def rewards(self, indices: list[int]) -> torch.Tensor:
        """Rewards [2B]: of the chosen responses, then of the rejected ones."""
        inputs, ends = self._collate(indices)
        inputs = {name: value.to(self._device) for name, value in inputs.items()}
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._low):
            if self._graph == "A":
                output = self._backbone.module(**inputs, output_hidden_states=True, use_cache=False)
                hidden = output.hidden_states[-1]
            else:
                hidden = self._backbone.module.base_model(**inputs, use_cache=False)[0]
        rewards = self._head(hidden.float().flatten(0, 1)).view(hidden.shape[:2])
        return torch.as_tensor(rewards[torch.arange(len(ends)), ends])

    @torch.no_grad()
    def rewards_by_item(self, indices: list[int]) -> torch.Tensor:
        """Rewards of these items' responses, item by item."""
        return torch.stack(self.rewards(indices).chunk(2), 1).flatten()

    def lengths(self, indices: list[int]) -> list[int]:
        """Tokens of each row before padding."""
        return [len(row) for row in self._rows([self._examples[index] for index in indices])]

    def _rows(self, examples: list[TokenizedExample]) -> list[list[int]]:
        return [
            [*example.tree.trunk.tolist(), *example.tree.branches[side].tolist()]
            for side in (0, 1)
            for example in examples
        ]

    def _collate(self, indices: list[int]) -> tuple[dict[str, Any], torch.Tensor]:
        rows = self._rows([self._examples[index] for index in indices])
        longest = max(map(len, rows))
        pad = self._backbone.pad_token_id
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        images = [image for _ in (0, 1) for index in indices for image in self._images[index]]
        if images:
            placeholder = self._backbone.module.config.image_token_id
            inputs["pixel_values"] = torch.cat([image.pixels for image in images])
            inputs["image_grid_thw"] = torch.tensor([image.grid for image in images])
            inputs["mm_token_type_ids"] = (ids == placeholder).int()
        return inputs, mask.sum(1) - 1
