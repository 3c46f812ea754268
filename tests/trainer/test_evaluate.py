"""Evaluation: the same scores whatever the batches, and a critic that writes for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.tiny_models import tiny_backbone
from tests.trainer.trials import small_config
from trainer.backbone import Backbone, read_backbone
from trainer.config import TrainerConfig
from trainer.critiques import write_critiques
from trainer.data.items import PreferenceItem
from trainer.data.mixture import training_items
from trainer.evaluate import Benchmark, evaluate
from trainer.examples import Examples
from trainer.gang import Gang
from trainer.metrics import benchmark_metrics
from trainer.prompts import CRITIQUE_OPENING
from trainer.reward_model import RewardModel

ALONE = Gang(0, 1, torch.device("cpu"))


def mixed_items(count: int = 12) -> list[PreferenceItem]:
    data = {"pairs": count, "weights": {"scenes": 1.0, "text": 1.0}}
    return training_items(TrainerConfig.model_validate({"data": data}).data)


def benchmark_of(
    model: RewardModel, items: list[PreferenceItem], batch_items: int = 64
) -> Benchmark:
    return Benchmark(
        name="validation",
        split="validation",
        items=items,
        backbone=model.backbone,
        config=model.config,
        frozen_vision=True,
        batch_items=batch_items,
    )


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("paradigm", ["scalar", "critic", "generative"])
def test_scores_do_not_depend_on_the_batch_size(
    paradigm: str, pooling: str, backbone_folder: Path
) -> None:
    config = small_config(
        backbone_folder,
        paradigm=paradigm,
        head={"pooling": pooling},
        critic={"max_critique_tokens": 6},
    )
    model = RewardModel(read_backbone(backbone_folder), config).eval()
    items = mixed_items()

    tables = [evaluate(model, benchmark_of(model, items, size), ALONE).table for size in (1, 5, 64)]

    for table in tables[1:]:
        assert table.drop_columns("score").equals(tables[0].drop_columns("score"))
        assert np.allclose(table["score"].to_numpy(), tables[0]["score"].to_numpy(), atol=1e-5)


def test_a_table_holds_every_response_in_the_order_of_the_items(backbone_folder: Path) -> None:
    model = RewardModel(read_backbone(backbone_folder), small_config(backbone_folder)).eval()
    items = mixed_items()

    table = evaluate(model, benchmark_of(model, items), ALONE).table

    assert table["item_id"].to_pylist() == [i.item_id for i in items for _ in i.responses]
    assert table["rank"].to_pylist() == [r.rank for i in items for r in i.responses]
    assert table["response_characters"].to_pylist() == [
        len(r.text) for i in items for r in i.responses
    ]
    assert set(table["modality"].to_pylist()) == {"image", "text"}


def test_a_judge_gives_both_orders(backbone_folder: Path) -> None:
    config = small_config(backbone_folder, paradigm="generative")
    model = RewardModel(read_backbone(backbone_folder), config).eval()

    table = evaluate(model, benchmark_of(model, mixed_items(2)), ALONE).table

    assert table["order"].to_pylist() == [0, 0, 1, 1] * 2
    assert table["response"].to_pylist() == [0, 1] * 4
    assert max(table["score"].to_pylist()) < 0
    assert "position_bias" in benchmark_metrics(table)


def written_alone(model: RewardModel, example: Any, branch: int) -> tuple[list[int], float]:  # noqa: ANN401
    """The plainest greedy decoding: every step reads the whole row again."""
    backbone = model.backbone
    row = [*example.tree.trunk.tolist(), *example.tree.branches[branch].tolist()]
    said: list[int] = []
    for _ in range(model.config.critic.max_critique_tokens):
        hidden = states_of(backbone, row + said)
        token = int(backbone.language_head(hidden[-1]).argmax())
        if token == backbone.eos_token_id:
            break
        said.append(token)
    closed = states_of(backbone, [*row, *said, backbone.eos_token_id])
    assert model.head is not None
    if model.config.head.pooling == "last":
        return said, float(model.head(closed[-1:]))
    return said, float(model.head(closed[len(example.tree.trunk) :].mean(0, keepdim=True)))


def states_of(backbone: Backbone, row: list[int]) -> torch.Tensor:
    return backbone.hidden_states(
        input_ids=torch.tensor([row]), position_ids=backbone.positions([row])
    )[0]


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("kind", ["qwen2_5_vl", "llama"])
@torch.no_grad()
def test_critiques_grown_side_by_side_are_those_written_alone(kind: str, pooling: str) -> None:
    config = TrainerConfig.model_validate(
        {
            "paradigm": "critic",
            "head": {"pooling": pooling},
            "critic": {"max_critique_tokens": 7},
        }
    )
    model = RewardModel(tiny_backbone(kind), config).eval()
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


def test_a_critic_is_not_shown_the_critiques_of_the_data(backbone_folder: Path) -> None:
    config = small_config(backbone_folder, paradigm="critic")
    model = RewardModel(read_backbone(backbone_folder), config)
    items = mixed_items(2)

    (example, *_) = benchmark_of(model, items).examples.take([0])

    told = model.backbone.tokenizer.decode(example.tree.branches[0].tolist())
    assert told == items[0].responses[0].text + CRITIQUE_OPENING
