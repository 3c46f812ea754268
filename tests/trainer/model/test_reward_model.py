"""Rewards of shared trunks against rewards of separate rows, for every architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from tests.trainer.tiny_models import KINDS, TEXT_KINDS, tiny_backbone
from trainer.config import Paradigm, SharePrompts, TrainerConfig
from trainer.data.items import PreferenceItem, Response
from trainer.data.mixture import training_items
from trainer.head_config import Pooling
from trainer.model.backbone import Backbone
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Examples, ModelBatch
from trainer.trees.tree_batch import pad_trees
from trainer.trees.tree_layout import visible_pairs

PARADIGMS: tuple[Paradigm, ...] = ("scalar", "critic", "generative")


def config_of(paradigm: Paradigm, pooling: Pooling = "last") -> TrainerConfig:
    return TrainerConfig.model_validate({"paradigm": paradigm, "head": {"pooling": pooling}})


def items_for(backbone: Backbone, count: int = 4) -> list[PreferenceItem]:
    data = {"pairs": count, "weights": {"scenes": 1.0, "text": 1.0}}
    if not backbone.takes_images:
        data["weights"] = {"text": 1.0}
    items = training_items(TrainerConfig.model_validate({"data": data}).data)
    extra = Response(text="Nobody knows, and it would take long to say why.", rank=3)
    return [replace(items[0], responses=(*items[0].responses, extra)), *items[1:]]


def examples_of(
    backbone: Backbone,
    items: Sequence[PreferenceItem],
    paradigm: Paradigm,
    *,
    frozen: bool = True,
    share_prompts: SharePrompts = "auto",
) -> Examples:
    return Examples(
        items,
        backbone,
        paradigm,
        critiques=True,
        frozen_vision=frozen,
        chunks=[list(range(len(items)))],
        share_prompts=share_prompts,
    )


def padded(
    batch: ModelBatch, examples: Examples, backbone: Backbone, *, share: bool = True
) -> ModelBatch:
    """The same rows side by side."""
    keys = [examples.images.keys(example.item) for example in batch.examples]
    trees = [
        replace(example.tree, images=tuple(batch.images.index[key] for key in shown))
        for example, shown in zip(batch.examples, keys, strict=True)
    ]
    rows = pad_trees(trees, pad_token_id=backbone.pad_token_id, share=share)
    return ModelBatch(batch.examples, rows, batch.images)


def unshared(batch: ModelBatch, examples: Examples, backbone: Backbone) -> ModelBatch:
    """The same branches, each a row of its own."""
    return padded(batch, examples, backbone, share=False)


@pytest.mark.parametrize("paradigm", PARADIGMS)
@pytest.mark.parametrize("kind", KINDS)
def test_shared_trunks_give_the_rewards_of_separate_rows(kind: str, paradigm: Paradigm) -> None:
    backbone = tiny_backbone(kind)
    model = RewardModel(backbone, config_of(paradigm)).eval()
    examples = examples_of(backbone, items_for(backbone), paradigm)
    batch = examples.batch(range(4))

    with torch.no_grad():
        shared = model(batch)
        separate = model(unshared(batch, examples, backbone))

    assert set(shared) == set(separate)
    for name, values in shared.items():
        assert torch.allclose(values, separate[name], atol=1e-5), name


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_a_leak_between_answers_would_be_seen(pooling: Pooling) -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    model = RewardModel(backbone, config_of("scalar", pooling)).eval()
    examples = examples_of(backbone, items_for(backbone), "scalar")
    batch = padded(examples.batch(range(4)), examples, backbone)
    length = batch.rows.input_ids.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril().expand(4, 1, -1, -1)

    with torch.no_grad():
        separate = model(unshared(batch, examples, backbone))["scores"]
        shared = model(batch)["scores"]
        leaking = model(replace(batch, rows=replace(batch.rows, attention_mask=causal)))["scores"]

    assert (shared - separate).abs().max() < 1e-5
    assert (leaking - separate).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_positions_are_those_of_the_separate_rows(kind: str) -> None:
    backbone = tiny_backbone(kind)
    examples = examples_of(backbone, items_for(backbone), "scalar")

    for example in examples.take(range(4)):
        images = examples.images.shapes(example.item)
        for branch in example.tree.branches:
            row = [*example.tree.trunk.tolist(), *branch.tolist()]
            alone = backbone.positions([row], [images])
            ours = torch.from_numpy(example.tree.positions[:, : len(row)])
            assert torch.equal(ours, alone.reshape(-1, len(row)).expand_as(ours))


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_scores_do_not_depend_on_batch_mates_or_padding(paradigm: Paradigm) -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    model = RewardModel(backbone, config_of(paradigm, "mean")).eval()
    examples = examples_of(backbone, items_for(backbone), paradigm)
    name = "verdicts" if paradigm == "generative" else "scores"

    with torch.no_grad():
        together = model(examples.batch(range(4)))[name]
        alone = torch.cat([model(examples.batch([index]))[name] for index in range(4)])
        batch = padded(examples.batch(range(4)), examples, backbone)
        rows = replace(batch.rows, input_ids=batch.rows.input_ids.clone())
        rows.input_ids[rows.members < 0] = 7
        repadded = model(replace(batch, rows=rows))[name]

    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together, repadded, atol=1e-6)


def test_an_end_token_inside_a_response_is_not_taken_for_its_end() -> None:
    backbone = tiny_backbone("qwen2")
    model = RewardModel(backbone, config_of("scalar")).eval()
    item = items_for(backbone)[1]
    examples = examples_of(backbone, [item], "scalar")
    batch = examples.batch([0])
    rows = batch.rows
    middle = rows.ends[0] - rows.lengths[0] + 2
    ids = rows.input_ids.clone()
    ids[0, middle] = backbone.eos_token_id

    with torch.no_grad():
        hidden = backbone.hidden_states(
            input_ids=ids,
            attention_mask=rows.attention_mask,
            position_ids=rows.position_ids,
            layout=rows.layout,
        )
        score = model(replace(batch, rows=replace(rows, input_ids=ids)))["scores"][0]

    assert model.head is not None
    # One row or several through the head may round differently in the last bit.
    expected = model.head(hidden[0, rows.ends[0]][None])[0]
    torch.testing.assert_close(score, expected, rtol=0, atol=1e-6)
    elsewhere = model.head(hidden[0, middle][None])[0]
    assert (score - elsewhere).abs() > 1e-3


def test_scalar_training_never_runs_the_language_head() -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    model = RewardModel(backbone, config_of("scalar"))
    calls: list[torch.Size] = []
    output = backbone.module.get_output_embeddings()
    output.register_forward_hook(lambda _m, inputs, _o: calls.append(inputs[0].shape))
    examples = examples_of(backbone, items_for(backbone), "scalar")

    model(examples.batch(range(4)))

    assert calls == []


def test_a_critic_runs_the_language_head_on_critiques_only() -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    model = RewardModel(backbone, config_of("critic"))
    calls: list[int] = []
    output = backbone.module.get_output_embeddings()
    output.register_forward_hook(lambda _m, inputs, _o: calls.append(inputs[0].shape[0]))
    examples = examples_of(backbone, items_for(backbone), "critic")
    batch = examples.batch(range(4))

    losses = model(batch)["critique_losses"]

    told = [response.critique for e in batch.examples for response in e.item.responses]
    tokens = sum(len(backbone.encode_text(f" {text}")) + 1 for text in told if text)
    assert calls == [tokens]
    assert [loss > 0 for loss in losses.tolist()] == [bool(text) for text in told]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in TEXT_KINDS])
def test_cached_vision_features_change_nothing(kind: str) -> None:
    backbone = tiny_backbone(kind)
    model = RewardModel(backbone, config_of("scalar")).eval()
    items = items_for(backbone)
    cached = examples_of(backbone, items, "scalar", frozen=True).batch(range(4))
    fresh = examples_of(backbone, items, "scalar", frozen=False).batch(range(4))

    with torch.no_grad():
        assert torch.allclose(model(cached)["scores"], model(fresh)["scores"], atol=1e-6)
    assert cached.images.features is not None
    assert fresh.images.features is None


def test_a_blank_image_is_tied_in_without_changing_scores() -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    free = {"strategy": {"freeze": {"vision": False, "projector": False}}}
    model = RewardModel(backbone, TrainerConfig.model_validate(free))
    items = [item for item in items_for(backbone) if not item.images]
    batch = examples_of(backbone, items, "scalar").batch([0, 1])

    plain = model(batch)["scores"]
    baited = model(batch, always_encode_images=True)["scores"]
    gradients = torch.autograd.grad(baited.sum(), backbone.parts()["vision"])

    assert torch.equal(plain, baited)
    assert not any(gradient.any() for gradient in gradients)


def test_frozen_parts_are_those_the_strategy_names() -> None:
    backbone = tiny_backbone("internvl")
    freeze = {"vision": False, "projector": True, "language_model": True}
    RewardModel(backbone, TrainerConfig.model_validate({"strategy": {"freeze": freeze}}))

    for part, parameters in backbone.parts().items():
        assert all(p.requires_grad is not freeze[part] for p in parameters), part


def test_the_mask_shows_the_trunk_and_the_own_branch_only() -> None:
    members = torch.tensor([[0, 0, 1, 1, 2, -1]])

    mask = visible_pairs(members)[0].int().tolist()

    assert mask == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]
