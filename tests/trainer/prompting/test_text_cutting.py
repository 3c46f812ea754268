"""Long texts are cut to the limit, never an image, and never so that two responses become one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import load_settings
from trainer.config import BackboneConfig, DataConfig, TrainerConfig
from trainer.data.items import PreferenceItem, Response
from trainer.data.mixture import training_items
from trainer.gangs.gang import Gang
from trainer.model.backbone import Backbone, load_backbone
from trainer.prompting.examples import Examples
from trainer.prompting.text_cutting import TextCutter, TextLimits


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    config = BackboneConfig(family="tiny-qwen2.5-vl", scale="xs")
    return load_backbone(config, models=load_settings().models)


def item(prompt: str, *texts: str) -> PreferenceItem:
    responses = tuple(Response(text=text, rank=rank) for rank, text in enumerate(texts, 1))
    return PreferenceItem(item_id="x", group_id="x", prompt=prompt, responses=responses)


def length(backbone: Backbone, text: str) -> int:
    return len(backbone.encode_text(text))


def test_a_prompt_keeps_its_end_and_a_response_its_beginning(backbone: Backbone) -> None:
    cutter = TextCutter(backbone, TextLimits(20, 30))
    whole = item(f"{'before ' * 200}the question?", f"first {'and so on ' * 200}", "short")
    (cut,) = cutter([whole])

    assert whole.prompt.endswith(cut.prompt)
    assert cut.prompt.endswith("the question?")
    assert length(backbone, cut.prompt) <= 21
    assert whole.responses[0].text.startswith(cut.responses[0].text)
    assert length(backbone, cut.responses[0].text) <= 31
    assert cut.responses[1] == whole.responses[1]


def test_what_is_within_the_limits_is_the_same_object(backbone: Backbone) -> None:
    short = item("Why?", "a", "b")

    assert TextCutter(backbone, TextLimits(50, 50))([short])[0] is short


def test_responses_that_differ_late_keep_where_they_differ(backbone: Backbone) -> None:
    same = "a red square and a blue circle, " * 300
    whole = item("Which?", f"{same}so it is one. {same}", f"{same}so it is two. {same}", "neither")
    (cut,) = TextCutter(backbone, TextLimits(None, 24))([whole])
    texts = [response.text for response in cut.responses]

    assert len(set(texts)) == 3
    assert "one" in texts[0]
    assert "two" in texts[1]
    assert all(length(backbone, text) <= 26 for text in texts)
    assert texts[2] == "neither"


words = st.lists(st.sampled_from(["red ", "blue ", "one ", "two ", "é", "🙂"]), max_size=30)


@given(
    st.lists(words.map("".join).filter(str.strip), min_size=2, max_size=4, unique=True),
    st.integers(1, 12),
)
def test_no_limit_ever_makes_two_responses_the_same(
    backbone: Backbone, texts: list[str], most: int
) -> None:
    (cut,) = TextCutter(backbone, TextLimits(None, most))([item("Which?", *texts)])

    assert len({response.text for response in cut.responses}) == len(texts)
    assert all(response.text for response in cut.responses)


def test_images_are_never_cut(backbone: Backbone) -> None:
    data = DataConfig(pairs=6)
    items = training_items(data)
    counts: dict[bool, int] = {}
    cut: dict[bool, dict[str, int]] = {}
    for limits in (None, TextLimits(1, 1)):
        examples = Examples(
            items, backbone, "scalar", critiques=True, frozen_vision=True,
            chunks=[range(len(items))], limits=limits,
        )  # fmt: skip
        taken = examples.take(range(len(items)))
        shown = [examples.images.shapes(each.item)[0].tokens for each in taken]
        assert all(len(each.tree.trunk) > tokens for each, tokens in zip(taken, shown, strict=True))
        counts[limits is None] = sum(len(each.tree.trunk) for each in taken)
        assert all(each.item in items for each in taken)
        cut[limits is None] = examples.shortened.counts(Gang(0, 1, torch.device("cpu")))
    assert counts[False] < counts[True]
    assert (cut[True], cut[False]["prompts"]) == ({}, 6)


def test_an_endless_response_ends_where_it_is_told_to(backbone: Backbone) -> None:
    (cut,) = TextCutter(backbone, TextLimits(None, 64))([item("?", "word " * 100_000, "short")])

    assert length(backbone, cut.responses[0].text) <= 65


def test_limits_are_of_the_data_and_absent_by_default() -> None:
    assert TextLimits.of(TrainerConfig().data) is None
    assert TextLimits.of(DataConfig(max_response_tokens=9)) == TextLimits(None, 9)


def test_only_so_many_examples_are_kept(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = training_items(DataConfig(weights={"text": 1}, pairs=12))
    monkeypatch.setattr("trainer.prompting.examples.MOST_KNOWN_TOKENS", 40)
    examples = Examples(
        items, backbone, "scalar", critiques=True, frozen_vision=True, chunks=[range(12)]
    )
    first = examples.take(range(12))
    again = examples.take([0, 5, 0])

    assert [each.item for each in first] == list(items)
    assert (again[0].tree.trunk == first[0].tree.trunk).all()
    assert again[0] is again[2]
