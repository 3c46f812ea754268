"""A critic that writes for itself: what it writes and scores side by side is what it does alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.trainer.tiny_models import tiny_backbone
from trainer.config import TrainerConfig
from trainer.data.mixture import training_items
from trainer.evaluation.critiques import write_critiques
from trainer.gangs.gang import Gang
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Examples, TokenizedExample

ALONE = Gang(0, 1, torch.device("cpu"))


def written_alone(
    model: RewardModel, example: TokenizedExample, branch: int
) -> tuple[list[int], float]:
    """The plainest greedy decoding: every step reads the whole row again."""
    backbone = model.backbone
    row = [*example.tree.trunk.tolist(), *example.tree.branches[branch].tolist()]
    said: list[int] = []
    for _ in range(model.config.critic.max_critique_tokens):
        hidden, _ = states_of(model, row + said)
        token = int(backbone.language_head(hidden[-1]).argmax())
        if token == backbone.eos_token_id:
            break
        said.append(token)
    _, read = states_of(model, [*row, *said, backbone.eos_token_id])
    assert model.head is not None
    return said, float(model.head(pooled(model, read[len(example.tree.trunk) :])))


def states_of(model: RewardModel, row: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    words, scores = model.states(
        input_ids=torch.tensor([row]), position_ids=model.backbone.positions([row])
    )
    return words[0], scores[0]


def pooled(model: RewardModel, states: torch.Tensor) -> torch.Tensor:
    assert model.head is not None
    if model.config.head.pooling == "last":
        return states[-1:]
    if model.config.head.pooling == "mean":
        return states.mean(0, keepdim=True)
    return model.head.attend(states).softmax(0)[None] @ states


@pytest.mark.parametrize(
    "head",
    [
        pytest.param({"pooling": "last"}, id="last"),
        pytest.param({"pooling": "mean"}, id="mean"),
        pytest.param({"pooling": "attention", "learn_scale": True}, id="attention"),
        pytest.param({"pooling": "attention", "hidden_layer": 1}, id="inner layer"),
    ],
)
@pytest.mark.parametrize("kind", ["qwen2_5_vl", "llama"])
@torch.no_grad()
def test_critiques_grown_side_by_side_are_those_written_alone(
    kind: str, head: dict[str, Any]
) -> None:
    config = TrainerConfig.model_validate(
        {"paradigm": "critic", "head": head, "critic": {"max_critique_tokens": 7}}
    )
    model = RewardModel(tiny_backbone(kind), config).eval()
    if model.head is not None and model.head.attention is not None:
        torch.nn.init.normal_(model.head.attention.weight, std=2.0)
    data = {"pairs": 5, "weights": {"text": 1.0}}
    items = training_items(TrainerConfig.model_validate({"data": data}).data)
    examples = Examples(
        items, model.backbone, "critic", critiques=False, frozen_vision=True, chunks=[range(5)]
    )
    # Some critiques have to end early: the token written most often becomes the end.
    batch = examples.batch(range(5))
    first = [
        written_alone(model, example, branch)[0]
        for example in batch.examples
        for branch in range(2)
    ]
    spoken = [token for said in first for token in said[2:]]
    model.backbone.eos_token_id = max(set(spoken), key=spoken.count)

    outputs, written = write_critiques(model, batch, ALONE)

    expected = [
        written_alone(model, example, branch) for example in batch.examples for branch in range(2)
    ]
    assert written == sum(len(said) for said, _ in expected)
    assert written < 7 * 10
    assert outputs["scores"].tolist() == pytest.approx([s for _, s in expected], abs=1e-5)
