"""Evaluation: the same scores whatever the batches, and a critic that writes for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.trainer.trials import small_config
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.data.mixture import training_items
from trainer.evaluation.evaluate import Benchmark, evaluate
from trainer.evaluation.metrics import benchmark_metrics
from trainer.gangs.gang import Gang
from trainer.model.backbone import read_backbone
from trainer.model.reward_model import RewardModel
from trainer.prompting.prompts import CRITIQUE_OPENING

ALONE = Gang(0, 1, torch.device("cpu"))


def mixed_items(count: int = 12) -> list[PreferenceItem]:
    data = {"pairs": count, "weights": {"scenes": 1.0, "text": 1.0}}
    return list(training_items(TrainerConfig.model_validate({"data": data}).data))


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


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
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
        assert accuracies(table) == accuracies(tables[0])
    assert {"accuracy_source_scenes", "accuracy_source_text"} <= accuracies(tables[0]).keys()


def accuracies(table: pa.Table) -> dict[str, float]:
    metrics = benchmark_metrics(table)
    return {name: value for name, value in metrics.items() if name.startswith(("acc", "pairs"))}


@pytest.mark.parametrize("tokens", [1, 300])
def test_scores_do_not_depend_on_how_many_tokens_are_scored_at_once(
    tokens: int, backbone_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RewardModel(read_backbone(backbone_folder), small_config(backbone_folder)).eval()
    items = mixed_items()
    whole = evaluate(model, benchmark_of(model, items), ALONE).table
    longest: list[int] = []
    model.register_forward_pre_hook(lambda _, given: longest.append(len(given[0].examples)))
    monkeypatch.setattr("trainer.evaluation.evaluate.BATCH_TOKENS", tokens)

    table = evaluate(model, benchmark_of(model, items), ALONE).table

    assert max(longest) < len(items)
    assert table.drop_columns("score").equals(whole.drop_columns("score"))
    assert np.allclose(table["score"].to_numpy(), whole["score"].to_numpy(), atol=1e-5)


def test_padding_counts_towards_the_tokens_a_critic_scores_at_once(
    backbone_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows lie side by side, each as wide as the longest."""
    config = small_config(backbone_folder, paradigm="critic", critic={"max_critique_tokens": 2})
    model = RewardModel(read_backbone(backbone_folder), config).eval()
    items = mixed_items()
    benchmark = benchmark_of(model, items)
    longest = max(extent.longest for extent in benchmark.examples.extents(range(len(items))))
    monkeypatch.setattr("trainer.evaluation.evaluate.BATCH_TOKENS", 3 * longest)
    seen: list[tuple[int, int]] = []
    model.register_forward_pre_hook(
        lambda _, given: seen.append((len(given[0].examples), given[0].rows.input_ids.numel()))
    )

    evaluate(model, benchmark, ALONE)

    assert sum(count for count, _ in seen) == len(items)
    assert max(count for count, _ in seen) >= 2
    assert all(tokens <= 3 * longest for _, tokens in seen)


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


def test_a_critic_is_not_shown_the_critiques_of_the_data(backbone_folder: Path) -> None:
    config = small_config(backbone_folder, paradigm="critic")
    model = RewardModel(read_backbone(backbone_folder), config)
    items = mixed_items(2)

    (example, *_) = benchmark_of(model, items).examples.take([0])

    told = model.backbone.tokenizer.decode(example.tree.branches[0].tolist())
    assert told == items[0].responses[0].text + CRITIQUE_OPENING
