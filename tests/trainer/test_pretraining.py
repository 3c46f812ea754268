"""How the shipped backbones are made, and what those that are shipped can do."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from infra.errors import BackboneError
from tests.trainer.tiny_models import tiny_backbone
from trainer.backbone_entries import BackboneEntry
from trainer.catalog import SHIPPED, entries
from trainer.config import BackboneConfig
from trainer.data.digits import handwritten_digits
from trainer.data.scenes import COLOURS, GRID, SHAPES
from trainer.model.backbone import Backbone, load_backbone, read_backbone
from trainer.pretraining.__main__ import main
from trainer.pretraining.architectures import IMAGE_TOKENS, random_backbone
from trainer.pretraining.language import find_trunk, train_language
from trainer.pretraining.measure import answering_accuracy, held_out_items
from trainer.pretraining.pace import Pace
from trainer.pretraining.pictures import (
    Dialogue,
    digit_pictures,
    scene_pictures,
    text_dialogues,
)
from trainer.pretraining.vision import encode_pictures, train_vision

SHIPPED_ENTRIES = [entry for entry in entries() if entry.hub_id is None]


def pace(said: list[str], *, steps: int = 2, deadline: float = float("inf")) -> Pace:
    return Pace(
        stage="stage",
        steps=steps,
        seed=0,
        deadline=deadline,
        say=said.append,
        keep=lambda: said.append("kept"),
    )


def weights(backbone: Backbone, part: str) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in backbone.parts()[part]]).clone()


@pytest.fixture(params=SHIPPED_ENTRIES, ids=lambda entry: entry.name)
def shipped(request: pytest.FixtureRequest) -> Backbone:
    entry: BackboneEntry = request.param
    return load_backbone(BackboneConfig(family=entry.family, scale=entry.scale))


def test_a_shipped_backbone_opens_with_the_auto_classes(shipped: Backbone) -> None:
    folder = shipped.module.config.name_or_path
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    assert type(model) is type(shipped.module)
    assert len(tokenizer) == shipped.vocabulary_size
    assert "pixel_values" in processor.model_input_names


def test_a_shipped_backbone_sees_one_token_per_cell(shipped: Backbone) -> None:
    picture = scene_pictures(1, seed=5)[0]
    assert shipped.image_tokens(picture.image).tokens == IMAGE_TOKENS == GRID**2
    assert encode_pictures(shipped, [picture]).shape == (1, GRID**2, shipped.hidden_size)


def test_a_shipped_backbone_answers_from_the_image(shipped: Backbone) -> None:
    items = held_out_items(240, seed=77)["scenes"]
    seen = [item for item in items if item.category in {"colour", "shape"}]
    assert answering_accuracy(shipped, seen)["all"] > 0.75
    assert answering_accuracy(shipped, seen, shuffle_images=True)["all"] < 0.65


def test_shipped_backbones_share_one_tokenizer_with_words_of_their_world() -> None:
    files = {(folder / "tokenizer.json").read_bytes() for folder in SHIPPED.glob("*/*/")}
    assert len(files) == 1
    tokenizer = load_backbone(BackboneConfig()).tokenizer
    for word in (*[f" {name}" for name in (*SHAPES, *COLOURS)], "assistant", "Critique"):
        assert len(tokenizer.encode(word, add_special_tokens=False)) == 1


_SHIPPED_XS = load_backbone(BackboneConfig(scale="xs"))


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_the_shipped_tokenizer_writes_any_text(text: str) -> None:
    assert _SHIPPED_XS.tokenizer.decode(_SHIPPED_XS.encode_text(text)) == text


def test_unknown_tiny_architectures_are_refused() -> None:
    with pytest.raises(BackboneError, match=r"families: tiny-qwen2\.5-vl"):
        random_backbone("tiny-qwen2.5-vl", "xl")


def test_random_backbones_follow_their_seed() -> None:
    first, again, other = (random_backbone(scale="xs", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(weights(first, "vision"), weights(again, "vision"))
    assert not torch.equal(weights(first, "vision"), weights(other, "vision"))


def test_scene_pictures_say_what_their_cells_hold() -> None:
    for picture in scene_pictures(6, seed=0):
        shown = [cell for cell in picture.cells if cell != (0, 0)]
        assert len(picture.cells) == GRID**2
        assert 3 <= len(shown) <= 6
        caption = next(d.answer for d in picture.talk(0) if d.prompt == "Describe the image.")
        for shape, colour in shown:
            assert f"{COLOURS[colour - 1]} {SHAPES[shape - 1]}" in caption


def test_digit_pictures_leave_held_out_digits_alone() -> None:
    pictures = digit_pictures(copies=2, seed=0)
    assert 0.7 < len(pictures) / 2 / len(handwritten_digits()) < 0.9
    held_out = {item.images[0].load().tobytes() for item in held_out_items(400, seed=0)["digits"]}
    assert held_out.isdisjoint(picture.image.tobytes() for picture in pictures)


def test_a_trunk_and_a_branch_make_the_prompt_with_its_answer() -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    images = [backbone.image_tokens(scene_pictures(1, seed=0)[0].image)]
    trunk = find_trunk(backbone, images)
    tree = trunk.tree(backbone, [Dialogue("How many?", "Two.")], 0)
    whole = [
        *backbone.prompt_ids("How many?", images),
        *backbone.encode_text("Two."),
        backbone.eos_token_id,
    ]
    assert [*tree.trunk, *tree.branches[0]] == whole
    assert tree.labelled == (len(backbone.encode_text("Two.")) + 1,)
    assert np.array_equal(tree.positions, backbone.positions([whole], [images])[:, 0].numpy())


def test_each_stage_trains_its_own_part_and_is_reproducible() -> None:
    scenes, digits = scene_pictures(8, seed=0), digit_pictures(copies=1, seed=0)[:8]
    texts = text_dialogues(20, seed=0)
    made = []
    for _ in range(2):
        backbone, said = random_backbone(seed=3), list[str]()
        before = {part: weights(backbone, part) for part in backbone.parts()}
        train_vision(backbone, scenes, digits, pace(said))
        seeing = {part: weights(backbone, part) for part in backbone.parts()}
        assert not torch.equal(seeing["vision"], before["vision"])
        assert not torch.equal(seeing["projector"], before["projector"])
        assert torch.equal(seeing["language_model"], before["language_model"])
        train_language(backbone, scenes, digits, texts, pace(said))
        after = {part: weights(backbone, part) for part in backbone.parts()}
        assert torch.equal(after["vision"], seeing["vision"])
        assert not torch.equal(after["language_model"], seeing["language_model"])
        assert said[0].startswith("stage 2/2 loss")
        made.append(after)
    assert all(torch.equal(made[0][part], made[1][part]) for part in made[0])


def test_a_stage_ends_when_time_is_up_and_says_so() -> None:
    said: list[str] = []
    assert list(pace(said, deadline=time.monotonic() - 1).walk()) == []
    assert said == ["stage stopped before step 1: out of time"]


def test_weights_are_kept_on_the_way() -> None:
    said: list[str] = []
    stage = pace(said, steps=400)
    for step in stage.walk():
        stage.report(step, 1.0)
    assert said.count("kept") == 2
    assert stage.learning_rate_factor(19) == 1.0
    assert stage.learning_rate_factor(399) == pytest.approx(0.02, abs=0.001)


def test_the_command_makes_a_backbone_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    settings = {
        "family": "tiny-internvl3",
        "scale": "xs",
        "out": str(tmp_path),
        "vision-steps": "1",
        "language-steps": "1",
        "scenes": "6",
        "digit-copies": "1",
        "texts": "10",
        "held-out": "8",
    }
    main([word for name, value in settings.items() for word in (f"--{name}", value)])
    torch.set_num_threads(threads)
    output = capsys.readouterr().out
    assert "language 1/1 loss" in output
    assert '"scenes, images shuffled"' in output
    made = read_backbone(tmp_path)
    assert made.module.dtype == torch.float32
    assert made.encode_text(" red circle") == _SHIPPED_XS.encode_text(" red circle")
