"""Features of a frozen vision tower: one file per content, the same bits whoever computed them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from infra.object_store import LocalStore
from tests.trainer.model.test_reward_model import items_for
from tests.trainer.tiny_models import VISION_KINDS, tiny_backbone
from tests.trainer.trials import Notebook, small_config
from trainer.data.items import PreferenceItem
from trainer.gangs.gang import Gang
from trainer.gangs.ranks import run_trial
from trainer.model.backbone import Backbone
from trainer.model.backbone_inputs import VisionFeatures
from trainer.model.frozen_features import FrozenFeatures
from trainer.prompting.examples import Examples, ModelBatch
from trainer.trees.tree_batch import TreeBatch

ALONE = Gang(0, 1, torch.device("cpu"))


def give(backbone: Backbone, store: LocalStore | None, items: list[PreferenceItem]) -> Examples:
    examples = Examples(
        items,
        backbone,
        "scalar",
        critiques=False,
        frozen_vision=True,
        chunks=[range(0, len(items), 2), range(1, len(items), 2)],
    )
    FrozenFeatures(store=store, gang=ALONE, backbone_digest="b").give(examples.images)
    return examples


def shown(examples: Examples) -> tuple[VisionFeatures, TreeBatch]:
    batch = examples.batch(range(len(examples)))
    assert isinstance(batch, ModelBatch)
    assert batch.images.features is not None
    return batch.images.features, batch.rows


def assert_same(one: Examples, other: Examples) -> None:
    """The same features and positions, bit by bit."""
    (features, rows), (other_features, other_rows) = shown(one), shown(other)
    for a, b in zip(features.tokens, other_features.tokens, strict=True):
        assert torch.equal(a, b)
    for layers, other_layers in zip(features.deepstack, other_features.deepstack, strict=True):
        for a, b in zip(layers, other_layers, strict=True):
            assert torch.equal(a, b)
    assert torch.equal(rows.input_ids, other_rows.input_ids)
    assert torch.equal(rows.position_ids, other_rows.position_ids)


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_who_comes_second_reads_the_very_features_and_runs_no_vision_tower(
    kind: str, tmp_path: Path
) -> None:
    backbone, store = tiny_backbone(kind), LocalStore(tmp_path)
    items = items_for(backbone, 6)
    first = give(backbone, store, items)
    kept = store.read(*store.keys("vision-features/"))
    with torch.no_grad():
        for weight in backbone.parts()["vision"]:
            weight.zero_()  # would show if it were used

    second = give(backbone, store, items)

    assert_same(first, second)
    assert store.read(*store.keys("vision-features/")) == kept


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_features_are_kept_when_all_they_take_is_within_the_limit_and_not_beyond(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qwen3-VL feeds deeper layers, too, whose features take as much again for each."""
    backbone = tiny_backbone(kind)
    items = [item for item in items_for(backbone, 6) if item.images]
    features, _ = shown(give(backbone, None, items))
    blocks = [*features.tokens, *(layer for image in features.deepstack for layer in image)]
    taken = sum(block.numel() * block.element_size() for block in blocks)

    for limit, kept in ((taken, True), (taken - 1, False)):
        monkeypatch.setattr("trainer.model.image_bank.MEMORY_LIMIT_BYTES", limit)
        assert give(backbone, None, items).images.keeps_features is kept


def test_damaged_features_are_computed_again(tmp_path: Path) -> None:
    backbone, store = tiny_backbone("qwen2_5_vl"), LocalStore(tmp_path)
    items = items_for(backbone, 6)
    alone = give(backbone, None, items)
    give(backbone, store, items)
    (key,) = store.keys("vision-features/")
    whole = store.read(key)

    for damage in (b"", whole[:-100], whole[:-5] + bytes(5), b"not safetensors at all"):
        store.write(key, damage)
        assert_same(give(backbone, store, items), alone)
        assert store.read(key) == whole


def test_a_backbone_or_images_of_another_content_have_another_file(tmp_path: Path) -> None:
    backbone, store = tiny_backbone("qwen2_5_vl"), LocalStore(tmp_path)
    items = items_for(backbone, 6)
    images = give(backbone, store, items).images
    give(backbone, store, items[:1])

    FrozenFeatures(store=store, gang=ALONE, backbone_digest="c").give(images)

    assert len(store.keys("vision-features/")) == 3


def test_trials_of_any_seed_and_layout_share_their_files_and_train_as_if_they_did_not(
    backbone_folder: Path, tmp_path: Path
) -> None:
    layouts: dict[str, dict[str, Any]] = {
        "first": {},
        "shared": {},
        "apart": {"reuse_states": False},
        "ranks": {"workers": 2, "zero_stage": 3, "micro_batch_pairs": 2},
    }
    told, kept = {}, {}
    for name, machine in layouts.items():
        store = LocalStore(tmp_path / ("one store" if name in ("first", "shared") else name))
        told[name] = Notebook()
        seed = 5 if name == "first" else 0
        config = small_config(backbone_folder, machine=machine, seed=seed)
        run_trial(config, store_uri=store.uri, identity=name, reporter=told[name])
        kept[name] = {key: store.read(key) for key in store.keys("vision-features/")}

    assert len(kept["first"]) == 2  # of the training and of the benchmark
    assert kept["shared"] == kept["first"] == kept["ranks"]
    assert kept["apart"] == {}
    assert told["shared"].metric("train/loss") == told["apart"].metric("train/loss")
    expected = pytest.approx(told["shared"].metric("train/loss"), rel=1e-3)
    assert told["ranks"].metric("train/loss") == expected
