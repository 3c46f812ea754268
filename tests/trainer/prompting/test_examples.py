"""Items as tokens and images: read once, never cut, features that know no neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from infra.errors import DataError
from tests.trainer.tiny_models import tiny_backbone
from trainer.config import DataConfig
from trainer.data.images import open_image
from trainer.data.items import ImageReference, PreferenceItem, Response
from trainer.data.mixture import training_items
from trainer.model.backbone import Backbone, read_backbone
from trainer.model.image_bank import ImageBank
from trainer.prompting.examples import Examples
from trainer.prompting.prompts import presentations
from trainer.strategy_config import StrategyConfig
from trainer.training.choices import ranked_pairs
from trainer.training.objective import StepWeights


@dataclass
class CountedImage:
    """Counts how often it is decoded."""

    image: ImageReference
    loads: int = 0

    @property
    def key(self) -> str:
        return self.image.key

    def load(self) -> Image.Image:
        self.loads += 1
        return self.image.load()


@pytest.fixture(scope="module")
def backbone(backbone_folder: Path) -> Backbone:
    return read_backbone(backbone_folder)


def counted_items(count: int) -> tuple[list[PreferenceItem], list[CountedImage]]:
    items = training_items(DataConfig(pairs=count))
    by_key = {item.images[0].key: CountedImage(item.images[0]) for item in items}
    shared = [replace(item, images=(by_key[item.images[0].key],)) for item in items]
    return shared, list(by_key.values())


def build(
    items: list[PreferenceItem], backbone: Backbone, chunks: list[list[int]], *, frozen: bool = True
) -> Examples:
    return Examples(items, backbone, "scalar", critiques=True, frozen_vision=frozen, chunks=chunks)


@pytest.mark.parametrize("frozen", [True, False])
def test_an_image_is_decoded_once_however_often_it_is_shown(
    frozen: bool, backbone: Backbone
) -> None:
    items, images = counted_items(12)
    examples = build(items, backbone, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]], frozen=frozen)

    for _ in range(2):
        for indices in ([0, 6, 3], [1, 2, 4, 5], list(range(12))):
            examples.batch(indices)

    assert len(images) < 12  # the source asks twice about a scene
    assert [image.loads for image in images] == [1] * len(images)


def test_features_are_the_same_bits_whatever_was_asked_for_first(backbone: Backbone) -> None:
    items, _ = counted_items(24)
    chunks = [list(range(8)), list(range(8, 16)), list(range(16, 24))]
    forward, backward = (build(items, backbone, chunks) for _ in range(2))

    for indices in ([0], [9, 20], list(range(24))):
        forward.batch(indices)
    backward.batch([23, 11, 2])
    first = forward.batch(list(range(24))).images.features
    second = backward.batch(list(range(24))).images.features

    assert first is not None
    assert second is not None
    assert all(torch.equal(a, b) for a, b in zip(first.tokens, second.tokens, strict=True))


def test_images_are_encoded_a_few_at_a_time_whatever_a_chunk_holds(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, images = counted_items(12)
    patches: list[int] = []
    monkeypatch.setattr("trainer.model.image_bank.TOKENS_AT_ONCE", 40)
    hook = backbone.module.base_model.visual.register_forward_pre_hook(
        lambda _, given: patches.append(len(given[0]))
    )

    with hook:
        build(items, backbone, [list(range(12))]).batch(range(12))

    assert len(images) > 2  # of 16 tokens, 64 patches each
    assert max(patches) == 2 * 64
    assert sum(patches) == 64 * len(images)


def test_features_beyond_the_memory_limit_are_left_to_the_model(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, _ = counted_items(4)
    monkeypatch.setattr("trainer.model.image_bank.MEMORY_LIMIT_BYTES", 1)

    examples = build(items, backbone, [[0, 1, 2, 3]])

    assert examples.encoded_in_model
    assert examples.batch([0]).images.features is None


def test_a_response_that_does_not_fit_is_refused_not_cut(backbone: Backbone) -> None:
    assert backbone.max_positions is not None
    long = " ".join(["circle"] * (backbone.max_positions + 1))
    item = PreferenceItem(
        item_id="long",
        group_id="g",
        prompt="What?",
        responses=(Response(text=long, rank=1), Response(text="no", rank=2)),
        source="mine",
    )

    with pytest.raises(DataError, match="item 'long' of source 'mine' takes"):
        build([item], backbone, [[0]]).take([0])


def test_a_critique_that_does_not_fit_is_refused_before_the_training_begins(
    backbone: Backbone,
) -> None:
    assert backbone.max_positions is not None
    long = " ".join(["circle"] * (backbone.max_positions + 1))
    item = PreferenceItem(
        item_id="long",
        group_id="g",
        prompt="What?",
        responses=(Response(text="yes", rank=1, critique=long), Response(text="no", rank=2)),
        source="mine",
    )
    shown = Examples([item], backbone, "critic", critiques=True, frozen_vision=True, chunks=[[0]])

    with pytest.raises(DataError, match="item 'long' of source 'mine' takes"):
        shown.check_lengths([0])


def test_an_image_the_backbone_refuses_is_named(backbone: Backbone, tmp_path: Path) -> None:
    items, _ = counted_items(1)
    Image.new("RGB", (2000, 3)).save(tmp_path / "line.png")
    item = replace(items[0], images=(open_image(tmp_path / "line.png"),))

    with pytest.raises(DataError, match=r"image .*line\.png of 2000 x 3 pixels: .*aspect ratio"):
        build([item], backbone, [[0]]).batch([0])


def test_a_text_backbone_says_that_it_takes_no_images() -> None:
    items, _ = counted_items(1)
    backbone = tiny_backbone("qwen2")

    with pytest.raises(DataError, match="takes text only"):
        ImageBank(backbone, [items], frozen=True).inputs(items[0])


def test_several_responses_are_compared_pair_by_pair_without_ties() -> None:
    texts = [Response(text=str(rank), rank=rank) for rank in (2, 1, 2)]
    item = PreferenceItem(item_id="i", group_id="g", prompt="p", responses=tuple(texts))

    assert ranked_pairs(item) == [(1, 0), (1, 2)]
    shown = [(order.first, order.second) for order in presentations(item)]
    assert shown == [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]
    assert [order.verdict(item) for order in presentations(item)] == [1, 0, None, None, 0, 1]


def test_a_step_weighs_items_not_pairs() -> None:
    pair = (Response(text="a", rank=1, critique="good"), Response(text="b", rank=2))
    tied = (Response(text="a", rank=1), Response(text="b", rank=1))
    items = [
        PreferenceItem(item_id="1", group_id="1", prompt="p", responses=pair, label_weight=0.5),
        PreferenceItem(item_id="2", group_id="2", prompt="p", responses=(*pair, pair[1])),
        PreferenceItem(item_id="3", group_id="3", prompt="p", responses=tied),
    ]

    assert StepWeights.of(items, StrategyConfig()) == StepWeights(1.5, 1.5)
    assert StepWeights.of(items, StrategyConfig(ties="square")) == StepWeights(2.5, 1.5)
    assert StepWeights.of(items[2:], StrategyConfig()) == StepWeights(1.0, 1.0)
