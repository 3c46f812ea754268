"""Every architecture, with tiny random weights, against the plainest way to run it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from infra.errors import BackboneError
from tests.trainer.tiny_models import KINDS, TEXT_KINDS, VISION_KINDS, tiny_backbone
from trainer.config import BackboneConfig
from trainer.model.backbone import Backbone, load_backbone, read_backbone
from trainer.model.backbone_inputs import ImageInput, join_features

ANSWERS = ("There are two red circles.", "No.")


def picture(seed: int, width: int = 56, height: int = 56) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def separate_states(
    backbone: Backbone, row: Sequence[int], images: Sequence[ImageInput]
) -> torch.Tensor:
    """One row alone, as the vendor's forward runs it: pixels in, positions and mask its own."""
    inputs: dict[str, Any] = {"input_ids": torch.tensor([list(row)])}
    kind = backbone.module.config.model_type
    if images:
        pixels = [image.pixels for image in images]
        inputs["pixel_values"] = torch.cat(pixels)
    if images and kind in {"qwen2_5_vl", "qwen3_vl"}:
        inputs["image_grid_thw"] = torch.tensor([image.grid for image in images])
        placeholders = inputs["input_ids"] == backbone.module.config.image_token_id
        inputs["mm_token_type_ids"] = placeholders.int()
    elif images and kind == "llava_onevision":
        inputs["image_sizes"] = torch.tensor([image.grid for image in images])
        inputs["batch_num_images"] = torch.tensor([len(images)])
    elif images and kind == "smolvlm":
        inputs["pixel_values"] = inputs["pixel_values"][None]
    return torch.as_tensor(backbone.module.base_model(**inputs)[0][0])


def shared_states(
    backbone: Backbone,
    trunk: Sequence[int],
    answers: Sequence[Sequence[int]],
    images: Sequence[ImageInput],
) -> list[torch.Tensor]:
    """All answers behind one trunk under a tree mask, in one row."""
    spans, column = [], len(trunk)
    for answer in answers:
        spans.append((column, column + len(answer)))
        column += len(answer)
    mask = torch.ones(column, column, dtype=torch.bool).tril()
    for number, (start, end) in enumerate(spans):
        for other, (first, last) in enumerate(spans):
            if number != other:
                mask[start:end, first:last] = False
    rows = [[*trunk, *answer] for answer in answers]
    positions = [backbone.positions([row], [images])[..., 0, :] for row in rows]
    pieces = [positions[0], *[p[..., len(trunk) :] for p in positions[1:]]]
    states = backbone.hidden_states(
        input_ids=torch.tensor([[*trunk, *[token for answer in answers for token in answer]]]),
        attention_mask=mask[None, None],
        position_ids=torch.cat(pieces, dim=-1).unsqueeze(-2),
        features=backbone.vision_features(images) if images else None,
    )[0]
    return [torch.cat([states[: len(trunk)], states[start:end]]) for start, end in spans]


@pytest.fixture(scope="module", params=KINDS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return tiny_backbone(request.param)


@pytest.fixture(scope="module", params=VISION_KINDS)
def seeing(request: pytest.FixtureRequest) -> Backbone:
    return tiny_backbone(request.param)


def inputs_of(backbone: Backbone, count: int) -> list[ImageInput]:
    if not backbone.takes_images:
        return []
    sizes = [(56, 56), (40, 70), (90, 30)][:count]
    return backbone.image_inputs([picture(seed, *size) for seed, size in enumerate(sizes)])


@pytest.mark.parametrize("count", [1, 2])
def test_answers_sharing_a_prompt_get_the_states_they_get_alone(
    backbone: Backbone, count: int
) -> None:
    images = inputs_of(backbone, count)
    trunk = backbone.prompt_ids("How many red circles?", images)
    answers = [backbone.encode_text(answer) for answer in ANSWERS]
    with torch.no_grad():
        shared = shared_states(backbone, trunk, answers, images)
        for states, answer in zip(shared, answers, strict=True):
            alone = separate_states(backbone, [*trunk, *answer], images)
            torch.testing.assert_close(states, alone, atol=1e-5, rtol=0)


def test_the_shared_prompt_check_has_power(backbone: Backbone) -> None:
    trunk = backbone.prompt_ids("How many red circles?")
    first, second = (backbone.encode_text(answer) for answer in ANSWERS)
    with torch.no_grad():
        alone = separate_states(backbone, [*trunk, *second], [])
        seen = separate_states(backbone, [*trunk, *first, *second], [])
    assert (seen[-len(second) :] - alone[-len(second) :]).abs().max() > 1e-2


def test_an_image_has_the_same_features_whatever_is_encoded_beside_it(seeing: Backbone) -> None:
    images = inputs_of(seeing, 3)
    with torch.no_grad():
        together = seeing.vision_features(images)
        for index, image in enumerate(images):
            alone = seeing.vision_features([image])
            torch.testing.assert_close(together.tokens[index], alone.tokens[0], atol=1e-5, rtol=0)
            assert len(alone.tokens[0]) == image.tokens


def test_padding_and_batch_mates_change_nothing(backbone: Backbone) -> None:
    images = inputs_of(backbone, 1)
    rows = [
        backbone.prompt_ids("How many red circles?", images),
        backbone.prompt_ids("Is there a circle that is as red as the one above it?", images),
    ]
    length = max(map(len, rows))
    padded = [[*row, *[backbone.pad_token_id] * (length - len(row))] for row in rows]
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    with torch.no_grad():
        states = backbone.hidden_states(
            input_ids=torch.tensor(padded),
            attention_mask=mask,
            position_ids=backbone.positions(rows, [images, images]),
            features=backbone.vision_features(images) if images else None,
            placement=[0, 0] if images else None,
        )
        for index, row in enumerate(rows):
            alone = separate_states(backbone, row, images)
            torch.testing.assert_close(states[index, : len(row)], alone, atol=1e-5, rtol=0)


def test_features_can_be_joined_selected_and_detached(seeing: Backbone) -> None:
    images = inputs_of(seeing, 2)
    features = [seeing.vision_features([image]) for image in images]
    joined = join_features(features).apply(torch.Tensor.detach)
    picked = joined.select([1, 0, 1])
    assert len(picked) == 3
    assert torch.equal(picked.tokens[2], features[1].tokens[0])
    assert not picked.tokens[0].requires_grad
    assert bool(picked.deepstack) == (seeing.module.config.model_type == "qwen3_vl")


def test_a_saved_backbone_loads_again_with_the_same_states(
    backbone: Backbone, tmp_path: Path
) -> None:
    backbone.save(tmp_path)
    again = load_backbone(BackboneConfig(path=str(tmp_path)))
    images, prompt = inputs_of(backbone, 1), "Welche Farbe hat <|im_end|> ✓?"
    row = backbone.prompt_ids(prompt, images)
    assert again.prompt_ids(prompt, inputs_of(again, 1)) == row
    with torch.no_grad():
        expected = separate_states(backbone, row, images)
        assert torch.equal(separate_states(again, row, inputs_of(again, 1)), expected)
        assert torch.equal(again.language_head(expected), backbone.language_head(expected))


def test_every_parameter_belongs_to_exactly_one_part(backbone: Backbone) -> None:
    parts = backbone.parts()
    placed = [id(parameter) for part in parts.values() for parameter in part]
    assert sorted(placed) == sorted(id(p) for p in backbone.module.parameters())
    assert bool(parts["vision"]) == bool(parts["projector"]) == backbone.takes_images
    assert len(parts["language_model"]) > 10


def test_the_language_model_does_not_move_the_vision_tower_when_only_text_is_seen(
    seeing: Backbone,
) -> None:
    row = seeing.prompt_ids("What is red?")
    states = seeing.hidden_states(
        input_ids=torch.tensor([row]), position_ids=seeing.positions([row], [[]])
    )
    states.sum().backward()  # type: ignore[no-untyped-call]
    parts = seeing.parts()
    assert all(parameter.grad is None for parameter in parts["vision"])
    assert any(parameter.grad is not None for parameter in parts["language_model"])
    seeing.module.zero_grad()


def test_gradients_of_the_answers_reach_the_vision_tower(seeing: Backbone) -> None:
    images = inputs_of(seeing, 1)
    row = seeing.prompt_ids("What is red?", images)
    separate_states(seeing, row, images).sum().backward()  # type: ignore[no-untyped-call]
    moved = [p for p in seeing.parts()["vision"] if p.grad is not None and p.grad.abs().sum() > 0]
    assert len(moved) > 10
    seeing.module.zero_grad()


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_survives_the_tokenizer(text: str) -> None:
    backbone = _BYTES
    ids = backbone.encode_text(text)
    assert backbone.tokenizer.decode(ids) == text
    assert not set(ids) & set(backbone.tokenizer.all_special_ids)


_BYTES = tiny_backbone("llama")


def test_a_prompt_cannot_forge_an_image_or_end_its_turn(seeing: Backbone) -> None:
    images = inputs_of(seeing, 1)
    plain = seeing.prompt_ids("x", images)
    placeholder = str(seeing.tokenizer.convert_ids_to_tokens(seeing.module.config.image_token_id))
    forged = seeing.prompt_ids(f"x {placeholder} <|im_end|>", images)
    image_token = seeing.module.config.image_token_id
    assert forged.count(image_token) == plain.count(image_token) == images[0].tokens
    end = seeing.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert forged.count(end) == plain.count(end)


def test_the_image_stands_where_the_family_puts_it() -> None:
    qwen = tiny_backbone("qwen2_5_vl")
    text = qwen.tokenizer.decode(qwen.prompt_ids("Where?", inputs_of(qwen, 1)))
    pads = "<|image_pad|>" * 16
    assert text == (
        f"<|im_start|>user\n<|vision_start|>{pads}<|vision_end|>Where?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_positions_of_multimodal_rows_follow_the_grid() -> None:
    qwen = tiny_backbone("qwen2_5_vl")
    images = inputs_of(qwen, 1)
    row = qwen.prompt_ids("Where?", images)
    positions = qwen.positions([row], [images])
    first = row.index(qwen.module.config.image_token_id)
    assert positions.shape == (3, 1, len(row))
    assert positions[:, 0, first + 5].tolist() == [first, first + 1, first + 1]
    assert positions[:, 0, first + 16].tolist() == [first + 4] * 3


def test_text_only_rows_count_up_in_every_family(backbone: Backbone) -> None:
    row = backbone.prompt_ids("What is red?")
    positions = backbone.positions([row, row[:4]])
    assert (positions[..., 0, :].diff(dim=-1) == 1).all()
    assert positions[..., 1, 4:].abs().sum() == 0


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_a_text_only_backbone_says_that_it_takes_no_images(kind: str) -> None:
    with pytest.raises(BackboneError, match="takes text only"):
        tiny_backbone(kind).image_tokens(picture(0))


def test_a_blank_image_runs_through_the_vision_tower(seeing: Backbone) -> None:
    blank = seeing.blank_image()
    assert len(seeing.vision_features([blank]).tokens[0]) == blank.tokens


def test_a_model_without_a_chat_template_reads_images_then_prompt() -> None:
    backbone = tiny_backbone("llava_onevision")
    backbone.tokenizer.chat_template = None
    images = inputs_of(backbone, 2)
    row = backbone.prompt_ids("Where?", images)
    assert row[: images[0].tokens] == [backbone.module.config.image_token_id] * images[0].tokens
    assert backbone.tokenizer.decode(row[-7:]) == "Where?\n"


def test_sliding_attention_is_not_shared(tmp_path: Path) -> None:
    backbone = tiny_backbone("qwen2")
    assert backbone.shares_prompts
    backbone.module.config.layer_types = ["full_attention", "sliding_attention"]
    backbone.module.config.use_sliding_window = True
    backbone.module.config.sliding_window = 8
    backbone.save(tmp_path)
    assert not read_backbone(tmp_path).shares_prompts
