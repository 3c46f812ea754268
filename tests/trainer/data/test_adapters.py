"""A row of every published shape becomes the items it says, and no other row breaks an adapter."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.data.published_rows import BENCHMARKS, PIXEL, TRAINING
from trainer.data.adapters.adapter import adapters, check, converted
from trainer.data.adapters.judgements import read_verdict
from trainer.data.pair_rows import PairRow, Reason, UnusableRow

PUBLISHED = {**TRAINING, **BENCHMARKS}


def rows_of(name: str, **changes: object) -> list[PairRow]:
    return converted(adapters()[name], {**PUBLISHED[name], **changes})


def ranking(row: PairRow) -> list[str]:
    """Texts, the best first."""
    return [r.text for r in sorted(row.responses, key=lambda r: r.rank)]


def refused(name: str, **changes: object) -> Reason:
    with pytest.raises(UnusableRow) as caught:
        rows_of(name, **changes)
    return caught.value.reason


def test_every_adapter_has_a_published_row_here() -> None:
    assert set(adapters()) >= set(PUBLISHED)
    built_in = {n for n, a in adapters().items() if a.convert.__module__.startswith("trainer.")}
    assert built_in == set(PUBLISHED)
    assert {name for name, adapter in adapters().items() if adapter.benchmark} >= set(BENCHMARKS)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_set_is_said_to_be_of_texts_alone_where_its_rows_show_no_image(name: str) -> None:
    assert adapters()[name].text_only is not any(row.images for row in rows_of(name))


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ({"margin": -0.5}, Reason.MARGIN),
        ({"margin": math.nan}, Reason.MARGIN),
        ({"soft_label": 1.5}, Reason.SOFT_LABEL),
        ({"label_weight": 0.0}, Reason.WEIGHT),
        ({"label_weight": math.inf}, Reason.WEIGHT),
    ],
)
def test_numbers_that_no_loss_can_take_are_a_counted_reason(
    number: dict[str, Any], reason: Reason
) -> None:
    (whole,) = rows_of("mmpr")

    with pytest.raises(UnusableRow) as caught:
        check(replace(whole, **number), benchmark=False)
    assert caught.value.reason is reason
    assert refused("ms-swift", margin=-0.5) is Reason.MARGIN


BETTER = {
    "mm-rlhf": ["Two.", "Three."],
    "vlfeedback": ["A cat.", "A dog."],
    "povid": ["A cat.", "Two cats."],
    "rlaif-v": ["Red.", "Blue."],
    "mmpr": ["4", "5"],
    "mmif": ["In caps: A", "a"],
    "omnialign-v-dpo": ["At length.", "Short."],
    "llava-critic": ["This is a handwritten number seven.", "A cross, drawn [by hand]."],
    "skywork-80k": ["Because.", "No."],
    "helpsteer3": ["x.sort()", "sorted(x)"],
    "ultrafeedback": ["Two", "One", "Three", "Four"],
    "ultrafeedback-hard": ["Two", "Four"],
    "ultrafeedback-binarized": ["It.", "No."],
    "tulu-3": ["Ada", "None"],
    "olmo-2": ["Ada", "None"],
    "shp": ["None.", "A pinch."],
    "r1-reward-rl": ["A cake shop.\nBy Vuillard.", "A cake."],
    "hh-rlhf": ["Gladly.", "No."],
    "llama-factory": ["This.", "That."],
    "yojo": ["best", "middle", "worst"],
    "ms-swift": ["This.", "That."],
    "lightrft": ["The second image.", "The first image."],
    "pandalm": ["Short.", "One."],
    "vl-rewardbench": ["A cat.", "A dog."],
    "mm-rlhf-rewardbench": ["Well.", "Badly."],
    "multimodal-rewardbench": ["5", "4"],
    "rewardbench": ["Yes", "No"],
    "rewardbench-2": ["right", "no", "nay", "no"],
    "rm-bench": ["c0", "c1", "c2", "r0", "r1", "r2"],
    "judgebench": ["4", "3"],
}


@pytest.mark.parametrize("name", BETTER)
def test_the_published_preference_is_kept(name: str) -> None:
    (row,) = rows_of(name)

    assert ranking(row) == BETTER[name]
    assert "<image>" not in row.prompt


PROMPTS = {
    "mm-rlhf": "How many?",
    "llava-critic": "What this image presents?",
    "r1-reward-rl": "What is shown?",
    "helpsteer3": "User: Hi\n\nAssistant: Hello.\n\nUser: Sort it.",
    "hh-rlhf": "User: Hi\n\nAssistant: Hello.\n\nUser: Help?",
    "skywork-80k": "Why?",
    "ms-swift": "What?",
    "mmif": "Answer in capitals.",
    "pandalm": "Shorten.\n\nA long one.",
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_prompt_is_what_comes_before_the_answers(name: str) -> None:
    assert rows_of(name)[0].prompt == PROMPTS[name]


@pytest.mark.parametrize(
    ("name", "margin", "soft_label"),
    [
        ("helpsteer3", 2.0, 2.5 / 3),
        ("ultrafeedback-binarized", 2.5, None),
        ("olmo-2", 3.0, None),
        ("shp", math.log(3), None),
        ("ms-swift", 0.7, None),
        ("pandalm", None, 2.5 / 3),
    ],
)
def test_how_much_better_and_how_sure_is_kept(
    name: str, margin: float | None, soft_label: float | None
) -> None:
    (row,) = rows_of(name)

    assert row.margin == pytest.approx(margin)
    assert row.soft_label == pytest.approx(soft_label)


def test_critiques_images_groups_and_categories_are_kept() -> None:
    (row,) = rows_of("mm-rlhf")
    assert [r.critique for r in row.responses] == ["Counts well.", "Miscounts."]
    assert (row.images, row.group) == (("x.png",), "short_1")
    assert rows_of("rlaif-v")[0].images == (PIXEL,)
    assert rows_of("rlaif-v")[0].category == "VQAv2"
    assert rows_of("lightrft")[0].images == ("x.png", "y.png")
    assert rows_of("shp")[0].category == "askculinary"


def test_ultrafeedback_gives_every_pair_of_different_scores() -> None:
    pairs = [ranking(row) for row in rows_of("ultrafeedback-pairs")]

    assert len(pairs) == 5  # of six, one is a tie
    assert ["Two", "Four"] in pairs
    assert max(row.margin or 0 for row in rows_of("ultrafeedback-pairs")) == 6.5


def test_what_cannot_be_used_has_its_reason() -> None:
    pointwise = [{"from": "human", "value": "Question: [x]\nThe LMM response: [y]"}] * 2
    silent = [TRAINING["llava-critic"]["conversations"][0], {"from": "gpt", "value": "Both are."}]

    assert refused("llava-critic", conversations=pointwise) is Reason.ONE_JUDGED
    assert refused("llava-critic", conversations=silent) is Reason.NO_VERDICT
    assert refused("r1-reward-rl", answer=["<answer>3</answer>"]) is Reason.NO_VERDICT
    assert refused("ultrafeedback", source="truthful_qa") is Reason.EXCLUDED
    assert refused("mm-rlhf", image=None, video="x.mp4") is Reason.VIDEO
    assert refused("hh-rlhf", rejected="\n\nHuman: Bye\n\nAssistant: No.") is Reason.SHAPE
    assert refused("shp", labels=2) is Reason.NO_VERDICT
    assert refused("vlfeedback", completions=[]) is Reason.RATING
    assert refused("tulu-3", rejected=TRAINING["tulu-3"]["chosen"]) is Reason.SAME
    assert refused("olmo-2", rejected_rating=10**400) is Reason.RATING
    assert refused("mmpr", chosen=" ") is Reason.EMPTY
    assert refused("mmpr", chosen=None) is Reason.NOT_TEXT


def test_equal_ratings_are_a_tie() -> None:
    for name, changes in (
        ("helpsteer3", {"overall_preference": 0}),
        ("olmo-2", {"rejected_rating": 5}),
        ("lightrft", {"preference": "C"}),
        ("pandalm", {"annotator1": 1}),
    ):
        (row,) = rows_of(name, **changes)
        assert row.tied, name


def test_marks_between_words_say_which_image_is_meant() -> None:
    (row,) = rows_of("mmpr", image=["a.png", "b.png"], question="<image>\nIs it as in <image>?")

    assert row.prompt == "Is it as in [image 2]?"


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("... The better response: [1]", "first"),
        ("[[B]]", "second"),
        ("My final verdict is: [[A>B]].", "first"),
        ("[[B>>A]]", "second"),
        ("[[A=B]]", "tie"),
        ("<think>Response 1 is better at first</think><answer>2</answer>", "second"),
        ("Overall, the second response is better.", "second"),
        ("Response 1 is slightly better than Response 2.", "first"),
        ("Both are equally good.", "tie"),
        ("8 6\nThe first one names the bird.", "first"),
        ("7 7", "tie"),
        ("[[A]] or perhaps [[B]]", None),
        ("The first response is better in style, the second response is better in fact.", None),
        ("I cannot judge this.", None),
        ("", None),
        ("In 2019 8 6 birds", None),
    ],
)
def test_a_verdict_is_read_where_there_is_one_and_never_guessed(
    words: str, verdict: str | None
) -> None:
    assert read_verdict(words) == verdict


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.data())
def test_no_row_whatever_it_holds_breaks_an_adapter(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(PUBLISHED)))
    row: dict[str, Any] = dict(PUBLISHED[name])
    for column in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=2)):
        row[column] = data.draw(values)

    try:
        found = converted(adapters()[name], row)
    except UnusableRow:
        return
    assert all(len(each.responses) > 1 and each.prompt.strip() for each in found)


def test_what_is_no_mapping_is_no_row() -> None:
    for row in (None, [1], "x"):
        with pytest.raises(UnusableRow, match="not a mapping"):
            converted(adapters()["mmpr"], row)
