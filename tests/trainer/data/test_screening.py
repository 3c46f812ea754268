"""What has been seen before, or is held out, is not trained on; near-duplicates are found too."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from infra.errors import DataError
from tests.trainer.data.pair_file_writing import Row, text_row, write_rows
from trainer.config import DataConfig, SourceConfig
from trainer.data.mixture import data_digests, training_items, training_parts
from trainer.data.near_images import MOST_BITS_APART, bits_apart, gradient_hash
from trainer.data.near_texts import NearTexts, SequenceIndex
from trainer.data.screening import Screen, ScreenReason

WORDS = [f"word{n}" for n in range(400)]


def sentence(seed: int, length: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def changed(text: str, seed: int, count: int) -> str:
    """The text with some words exchanged, in other case and spacing."""
    words = text.split()
    for place in random.Random(seed).sample(range(len(words)), count):
        words[place] = "another"
    return "  ".join(words).title() + "!"


@pytest.mark.parametrize("seed", range(40))
def test_a_text_with_one_word_changed_is_near_and_another_text_is_not(seed: int) -> None:
    near = NearTexts()

    assert not near.seen(sentence(seed, 120))
    assert near.seen(changed(sentence(seed, 120), seed, 1))
    assert not near.seen(sentence(seed + 1000, 120))


@given(st.lists(st.text(max_size=40), max_size=8))
def test_a_text_seen_before_is_always_near(texts: list[str]) -> None:
    near = NearTexts()
    for text in texts:
        near.seen(text)

    assert all(near.seen(text) for text in texts)


def test_a_benchmark_s_prompt_is_found_inside_a_longer_one() -> None:
    index = SequenceIndex([sentence(1), "What is it?"], threshold=0.8)

    assert index.finds(f"Please answer. {sentence(1)} Thank you.")
    assert index.finds(changed(sentence(1), 3, 1))
    assert not index.finds(" ".join(sentence(1).split()[:40]))
    assert index.finds("what is IT")
    assert not index.finds("What is it now?")


def test_texts_without_spaces_between_words_are_compared_by_their_characters() -> None:
    asked = "请描述这张图片中的人物在做什么并说明他们的穿着颜色以及背景里的建筑物是什么样子的"
    near = NearTexts()
    index = SequenceIndex([asked], threshold=0.8)

    assert not near.seen(f"{asked} 写真の犬は何をしていますか")
    assert near.seen(f"{asked}。写真の犬は何をしていますか?")
    assert index.finds(f"你好, {asked}呢?")
    assert not index.finds(asked[:20])


def picture(seed: int, size: int = 96) -> Image.Image:
    draws = random.Random(seed)
    image = Image.new("RGB", (size, size), (40, 60, 90))
    brush = ImageDraw.Draw(image)
    for _ in range(14):
        left, top = draws.random() * size, draws.random() * size
        colour = tuple(draws.randrange(256) for _ in range(3))
        brush.rectangle((left, top, left + size / 4, top + size / 4), fill=colour)
    return image


def test_an_image_saved_anew_looks_the_same_and_flat_images_look_like_nothing() -> None:
    hashes = [gradient_hash(picture(seed)) for seed in range(30)]
    known = np.stack([each for each in hashes if each is not None])

    assert len(known) == 30
    for seed in range(30):
        again = gradient_hash(picture(seed).resize((61, 61)))
        assert again is not None
        near = bits_apart(known, again) <= MOST_BITS_APART
        assert near.nonzero()[0].tolist() == [seed]
    assert gradient_hash(Image.new("RGB", (50, 50), "white")) is None


def mix_of(tmp_path: Path, files: Mapping[str, Sequence[Row]], **settings: Any) -> DataConfig:  # noqa: ANN401
    sources = {}
    for name, rows in files.items():
        path = write_rows(tmp_path / f"{name}.jsonl", rows)
        split = "test" if name == "held" else "train"
        sources[name] = SourceConfig(kind="file", settings={"path": str(path), "split": split})
    trained = [name for name in files if name != "held"]
    weights = dict.fromkeys(trained, 1.0)
    return DataConfig.model_validate({"weights": weights, "sources": sources, **settings})


def test_an_item_of_two_sources_is_drawn_from_one(tmp_path: Path) -> None:
    shared = [text_row(n) for n in range(10)]
    own = [text_row(n) for n in range(100, 110)]
    loud = [{**row, "prompt": row["prompt"].upper()} for row in shared]
    config = mix_of(tmp_path, {"a": shared, "b": [*loud, *own]}, pairs=20, duplicates="drop")
    items = training_items(config)

    assert len(items) == 20
    prompts = {name: {i.prompt for i in items if i.source == name} for name in "ab"}
    assert prompts["b"] == {row["prompt"] for row in own}
    kept = training_items(config.model_copy(update={"duplicates": "keep"}))
    assert {i.prompt for i in kept if i.source == "b"} != prompts["b"]


def test_items_that_differ_in_a_sign_alone_are_no_duplicates(tmp_path: Path) -> None:
    rows = [
        {"prompt": prompt, "chosen": chosen, "rejected": rejected}
        for prompt, chosen, rejected in (
            ("What is 7 + 2?", "9", "5"),
            ("What is 7 - 2?", "9", "5"),
            ("What is  7 + 2?", "5", "9"),
            ("Is 5 > 3?", "yes", "no"),
            ("Is 5 < 3?", "yes", "no"),
        )
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    source = SourceConfig(kind="file", settings={"path": str(path), "split": "train"})
    data = DataConfig(weights={"sums": 1.0}, sources={"sums": source}, pairs=5, duplicates="drop")

    prompts = {" ".join(item.prompt.split()) for item in training_items(data)}

    assert prompts == {"What is 7 + 2?", "What is 7 - 2?", "Is 5 > 3?", "Is 5 < 3?"}
    (part,) = training_parts(data)
    assert len(part.items) == 4


def test_near_duplicates_go_when_that_is_asked_for(tmp_path: Path) -> None:
    rows = [
        text_row(1, prompt=sentence(1, 120)),
        text_row(1, prompt=changed(sentence(1, 120), 1, 1)),
    ]
    screen_of = {}
    for duplicates in ("drop", "drop_near"):
        config = mix_of(tmp_path, {"a": rows}, pairs=2, duplicates=duplicates)
        screen_of[duplicates] = Screen(config)
        training_parts(config, screen_of[duplicates])

    assert not screen_of["drop"].left_out
    assert screen_of["drop_near"].left_out == {ScreenReason.NEAR_DUPLICATE: 1}


def test_what_a_benchmark_holds_is_not_trained_on_and_its_place_is_filled(tmp_path: Path) -> None:
    for seed in range(3):
        picture(seed).save(tmp_path / f"held{seed}.png")
        picture(seed).resize((70, 70)).save(tmp_path / f"near{seed}.png")
        picture(seed + 50).save(tmp_path / f"other{seed}.png")
    held: list[Row] = [text_row(n, prompt="Shown?", image=f"held{n}.png") for n in range(3)]
    held += [text_row(9, prompt=sentence(9)), text_row(8, prompt="Who wrote it?")]
    clean = [text_row(n, prompt=sentence(n)) for n in range(20, 50)]
    rows: list[Row] = [
        *clean,
        text_row(30, prompt="Shown?", image="other0.png"),
        text_row(31, image="held0.png"),
        text_row(32, image="near1.png"),
        text_row(33, prompt="WHO wrote it"),
        text_row(34, prompt=f"Now: {sentence(9)}"),
    ]
    config = mix_of(
        tmp_path, {"a": rows, "held": held}, pairs=31, decontaminate={"against": ["held"]}
    )
    screen = Screen(config)
    (part,) = training_parts(config, screen)

    assert screen.left_out == dict.fromkeys(
        (
            ScreenReason.HELD_OUT_IMAGE,
            ScreenReason.NEAR_IMAGE,
            ScreenReason.HELD_OUT_PROMPT,
            ScreenReason.NEAR_PROMPT,
        ),
        1,
    )
    assert len(part.items) == 31
    exact = config.decontaminate.model_copy(update={"near": False})
    screen = Screen(config.model_copy(update={"decontaminate": exact}))
    training_parts(config, screen)
    assert set(screen.left_out) == {ScreenReason.HELD_OUT_IMAGE, ScreenReason.HELD_OUT_PROMPT}


def test_digests_follow_the_rules_and_the_sources_compared_with(tmp_path: Path) -> None:
    rows = [text_row(n) for n in range(30)]
    config = mix_of(tmp_path, {"a": rows, "held": [text_row(99)]}, pairs=10)
    rules: dict[str, Any] = {"against": ["held"]}
    cleaned = DataConfig.model_validate({**config.model_dump(), "decontaminate": rules})
    before = data_digests(cleaned)

    assert before != data_digests(config)
    assert before == data_digests(cleaned)
    write_rows(tmp_path / "held.jsonl", [text_row(99), text_row(98)])
    assert data_digests(cleaned) != before


def test_nothing_left_to_train_on_is_told_with_its_reasons(tmp_path: Path) -> None:
    rows = [text_row(n) for n in range(3)]
    config = mix_of(tmp_path, {"a": rows, "held": rows}, decontaminate={"against": ["held"]})

    with pytest.raises(DataError, match=r"no training item .* 3 are a prompt of a benchmark"):
        training_items(config)


def test_a_source_without_end_cannot_be_compared_with(tmp_path: Path) -> None:
    config = mix_of(tmp_path, {"a": [text_row(1)]}, decontaminate={"against": ["scenes"]})

    with pytest.raises(DataError, match="never runs out"):
        training_items(config)
