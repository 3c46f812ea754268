"""Pooled states of a frozen backbone: the same scores and trainings, kept by content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from infra.object_store import LocalStore
from tests.trainer.model.test_reward_model import items_for
from tests.trainer.tiny_models import tiny_backbone
from tests.trainer.trials import Notebook, small_config
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.gangs.gang import Gang
from trainer.gangs.ranks import run_trial
from trainer.model.pooled_states import PooledStates, only_the_head_trains, states_key
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Examples, PooledBatch
from trainer.scores import read_scores, score_key

FROZEN = {"vision": True, "projector": True, "language_model": True}
ALONE = Gang(0, 1, torch.device("cpu"))


def frozen_config(**sections: Any) -> TrainerConfig:  # noqa: ANN401 -- any settings
    values = {"strategy": {"freeze": FROZEN}, **sections}
    return TrainerConfig.model_validate(values)


def examples_for(model: RewardModel, items: list[PreferenceItem]) -> Examples:
    return Examples(
        items,
        model.backbone,
        "scalar",
        critiques=False,
        frozen_vision=True,
        chunks=[range(len(items))],
    )


def give(model: RewardModel, store: LocalStore, items: list[PreferenceItem]) -> Examples:
    examples = examples_for(model, items)
    assert PooledStates(model, store=store, gang=ALONE, backbone_digest="b").give(examples)
    return examples


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "smolvlm", "llama"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_scores_are_those_of_the_whole_model(kind: str, pooling: str, tmp_path: Path) -> None:
    backbone = tiny_backbone(kind)
    model = RewardModel(backbone, frozen_config(head={"pooling": pooling})).eval()
    items = items_for(backbone)
    examples = give(model, LocalStore(tmp_path), items)

    with torch.no_grad():
        whole = model(examples.batch([3, 0, 2]))["scores"]
        batch = examples.model_batch([3, 0, 2])
        pooled = model(batch)["scores"]

    assert isinstance(batch, PooledBatch)
    torch.testing.assert_close(pooled, whole, atol=1e-5, rtol=0)
    told = [(e.item.item_id, e.prompt_tokens, e.response_tokens) for e in batch.examples]
    asked = examples.take([3, 0, 2])
    assert told == [(e.item.item_id, e.prompt_tokens, e.response_tokens) for e in asked]


def test_states_of_long_rows_are_computed_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that could train on them one by one could not hold sixteen at once."""
    backbone = tiny_backbone("llama")
    model = RewardModel(backbone, frozen_config()).eval()
    items = items_for(backbone, 8)
    whole = give(model, LocalStore(tmp_path / "whole"), items).model_batch(range(8))
    widths: list[int] = []
    backbone.module.base_model.register_forward_pre_hook(
        lambda _, __, given: widths.append(given["input_ids"].numel()), with_kwargs=True
    )
    most = 2 * max(extent.tokens for extent in examples_for(model, items).extents(range(8)))
    monkeypatch.setattr("trainer.evaluation.evaluate.BATCH_TOKENS", most)

    few = give(model, LocalStore(tmp_path / "few"), items).model_batch(range(8))

    assert len(widths) > 1
    assert max(widths) <= most
    assert isinstance(whole, PooledBatch)
    assert isinstance(few, PooledBatch)
    torch.testing.assert_close(few.pooled, whole.pooled, atol=1e-5, rtol=0)


def test_the_second_trial_reads_what_the_first_one_left(tmp_path: Path) -> None:
    backbone, store = tiny_backbone("qwen2_5_vl"), LocalStore(tmp_path)
    items = items_for(backbone)
    first = give(RewardModel(backbone, frozen_config()), store, items)
    (key,) = store.keys("pooled-states/")
    left = store.read(key)
    # Another seed, another head; and a backbone whose weights would show if they were used.
    other = RewardModel(backbone, frozen_config(seed=3, head={"layers": 3}))
    with torch.no_grad():
        for weight in backbone.module.parameters():
            weight.zero_()

    second = give(other, store, items)

    batches = [each.model_batch(range(4)) for each in (first, second)]
    assert isinstance(batches[0], PooledBatch)
    assert isinstance(batches[1], PooledBatch)
    assert torch.equal(batches[0].pooled, batches[1].pooled)
    assert store.read(key) == left


def test_damaged_states_are_computed_again(tmp_path: Path) -> None:
    backbone, store = tiny_backbone("llama"), LocalStore(tmp_path)
    model, items = RewardModel(backbone, frozen_config()), items_for(backbone)
    give(model, store, items)
    (key,) = store.keys("pooled-states/")
    whole = store.read(key)

    for damage in (b"", whole[:-100], whole[:-5] + bytes(5), b"not safetensors at all"):
        store.write(key, damage)
        give(model, store, items)
        assert store.read(key) == whole


def test_the_name_tells_what_changes_states_and_nothing_else() -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    items = items_for(backbone)
    config = frozen_config()
    key = states_key(config, items, "b")

    same = [frozen_config(seed=4), frozen_config(head={"layers": 5, "activation": "tanh"})]
    other = [
        frozen_config(head={"pooling": "mean"}),
        frozen_config(head={"hidden_layer": 1}),
        frozen_config(strategy={"precision": "bf16"}),
        frozen_config(data={"max_prompt_tokens": 9}),
        frozen_config(data={"max_response_tokens": 9}),
    ]

    assert {states_key(each, items, "b") for each in same} == {key}
    keys = [states_key(each, items, "b") for each in other]
    keys += [states_key(config, items, "c"), states_key(config, items[::-1], "b")]
    keys.append(states_key(config, [replace(items[0], prompt="x"), *items[1:]], "b"))
    keys.append(states_key(config, [replace(items[0], images=()), *items[1:]], "b"))
    assert len({key, *keys}) == len(keys) + 1


def test_whatever_moves_or_is_random_below_the_head_is_not_kept() -> None:
    def kept(kind: str, config: TrainerConfig) -> bool:
        return only_the_head_trains(RewardModel(tiny_backbone(kind), config))

    assert kept("llama", frozen_config())
    assert kept("qwen2_5_vl", frozen_config())
    assert not kept("llama", TrainerConfig())
    moving = frozen_config(strategy={"freeze": FROZEN | {"projector": False}})
    assert not kept("qwen2_5_vl", moving)
    assert not kept("llama", frozen_config(head={"pooling": "attention"}))
    backbone = tiny_backbone("llama")
    backbone.module.config.attention_dropout = 0.1
    assert not only_the_head_trains(RewardModel(backbone, frozen_config()))


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param({}, id="one rank"),
        pytest.param(
            {"workers": 2, "zero_stage": 3, "micro_batch_pairs": 2},
            id="ZeRO 3",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_trial_with_known_states_trains_and_scores_as_one_without(
    machine: dict[str, Any], backbone_folder: Path, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)
    notebooks = {}
    for name, reuse in (("kept", True), ("again", False)):
        config = small_config(
            backbone_folder,
            strategy={"batch_pairs": 8, "freeze": FROZEN, "length_normalization": True},
            evaluation={"benchmarks": {"validation": {"parts": {"scenes": 6, "text": 6}}}},
            machine=machine | {"reuse_states": reuse},
        )
        notebooks[name] = Notebook()
        run_trial(config, store_uri=store.uri, identity=name, reporter=notebooks[name])

    for metric in ("train/loss", "train/gradient_norm", "train/accuracy"):
        expected = pytest.approx(notebooks["again"].metric(metric), rel=1e-4)
        assert notebooks["kept"].metric(metric) == expected
    tables = [read_scores(store.read(score_key(name, "validation"))) for name in notebooks]
    scores = [table["score"].to_numpy() for table in tables]
    assert np.allclose(scores[0], scores[1], atol=1e-5)
    assert tables[0].drop(["score"]).equals(tables[1].drop(["score"]))
    assert len(store.keys("pooled-states/")) == 2
