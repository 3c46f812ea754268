"""A row is read in either form, or the reason why not is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.pair_rows import Reason, UnusableRow, parse_row

PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}
RANKED = {"prompt": "Why?", "responses": ["a", "b", "c"], "ranks": [2, 1, 2]}


def test_a_pair_is_a_best_response_and_a_worse_one() -> None:
    row = parse_row({**PAIR, "chosen_critique": "Good.", "margin": "0.5"}, {})

    assert [(r.text, r.rank, r.critique) for r in row.responses] == [
        ("Because.", 1, "Good."),
        ("No.", 2, ""),
    ]
    assert row.margin == 0.5
    assert row.label_weight == 1.0


def test_several_rejected_responses_share_a_rank() -> None:
    row = parse_row({**PAIR, "rejected": ["No.", "Never."]}, {})

    assert [response.rank for response in row.responses] == [1, 2, 2]


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        pytest.param([2, 1, 2], [2, 1, 2], id="as given"),
        pytest.param([0, 5, 9], [1, 2, 3], id="made dense"),
        pytest.param([1.0, 2.0, 3.0], [1, 2, 3], id="whole floats"),
        pytest.param("[3, 2, 1]", [3, 2, 1], id="JSON text"),
    ],
)
@pytest.mark.parametrize("name", ["ranks", "rankings"])
def test_ranked_responses_keep_their_order(name: str, ranks: object, expected: list[int]) -> None:
    row = parse_row({"prompt": "Why?", "responses": ["a", "b", "c"], name: ranks}, {})

    assert [response.rank for response in row.responses] == expected


def test_an_answer_that_looks_like_a_list_is_still_an_answer() -> None:
    row = parse_row({**PAIR, "chosen": "[1, 2]", "rejected": "[2, 1]"}, {})

    assert [response.text for response in row.responses] == ["[1, 2]", "[2, 1]"]


def test_columns_may_have_other_names() -> None:
    row = parse_row(
        {"question": "Why?", "good": "a", "bad": "b", "picture": "x.png", "contest": 514},
        {
            "prompt": "question", "chosen": "good", "rejected": "bad", "image": "picture",
            "group_id": "contest",
        },
    )  # fmt: skip

    assert (row.prompt, row.images, row.group) == ("Why?", ("x.png",), "514")


def test_a_soft_label_says_how_sure_the_better_response_is() -> None:
    assert parse_row({**PAIR, "soft_label": "0.75"}, {}).soft_label == 0.75
    assert parse_row(PAIR, {}).soft_label is None


def test_a_tie_can_be_kept_and_has_no_soft_label() -> None:
    tied = {"prompt": "Why?", "responses": ["a", "b"], "ranks": [3, 3], "soft_label": 0.5}
    row = parse_row(tied, {}, ties=True)

    assert [response.rank for response in row.responses] == [1, 1]
    assert row.soft_label is None


@pytest.mark.parametrize("images", [["a.png", "b.png"], '["a.png", "b.png"]'])
def test_images_come_as_a_list_or_as_json_text(images: object) -> None:
    assert parse_row({**PAIR, "images": images}, {}).images == ("a.png", "b.png")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(None, Reason.NO_MAPPING, id="broken line"),
        pytest.param(["a"], Reason.NO_MAPPING, id="list"),
        pytest.param({**PAIR, "prompt": " "}, Reason.NO_PROMPT, id="blank prompt"),
        pytest.param({**PAIR, "prompt": ["x"]}, Reason.NO_PROMPT, id="prompt not text"),
        pytest.param({**PAIR, "rejected": None}, Reason.ONE_RESPONSE, id="only chosen"),
        pytest.param({**PAIR, "rejected": []}, Reason.ONE_RESPONSE, id="none rejected"),
        pytest.param({"prompt": "x"}, Reason.ONE_RESPONSE, id="no response"),
        pytest.param({**RANKED, "responses": ["a"]}, Reason.ONE_RESPONSE, id="one response"),
        pytest.param({**PAIR, "rejected": 4}, Reason.NOT_TEXT, id="a number"),
        pytest.param({**PAIR, "chosen": [{"role": "user"}]}, Reason.NOT_TEXT, id="a chat"),
        pytest.param({**PAIR, "prompt": "a\ud800"}, Reason.NOT_UNICODE, id="half a prompt"),
        pytest.param({**PAIR, "rejected": "\udfff"}, Reason.NOT_UNICODE, id="half a response"),
        pytest.param({**PAIR, "category": "\udfff"}, Reason.NOT_UNICODE, id="half a category"),
        pytest.param({**PAIR, "image": "\udfff"}, Reason.NOT_UNICODE, id="half a path"),
        pytest.param({**PAIR, "chosen": " \n"}, Reason.EMPTY, id="blank response"),
        pytest.param({**PAIR, "rejected": ""}, Reason.EMPTY, id="empty response"),
        pytest.param({**PAIR, "rejected": "Because. "}, Reason.SAME, id="same but for space"),
        pytest.param({**RANKED, "ranks": [1, 1, 1]}, Reason.TIED, id="tied"),
        pytest.param({**RANKED, "ranks": [1, 2]}, Reason.RANKS, id="too few ranks"),
        pytest.param({**RANKED, "ranks": [1, 2, 2.5]}, Reason.RANKS, id="broken rank"),
        pytest.param({**RANKED, "ranks": [1, 2, True]}, Reason.RANKS, id="truth as a rank"),
        pytest.param({**RANKED, "ranks": None}, Reason.RANKS, id="no ranks"),
        pytest.param({**RANKED, "ranks": "[" * 100_000}, Reason.RANKS, id="endless list"),
        pytest.param({**RANKED, "critiques": ["x"]}, Reason.CRITIQUES, id="too few critiques"),
        pytest.param({**PAIR, "margin": "much"}, Reason.MARGIN, id="margin in words"),
        pytest.param({**PAIR, "margin": -1}, Reason.MARGIN, id="negative margin"),
        pytest.param({**PAIR, "margin": 10**400}, Reason.MARGIN, id="endless margin"),
        pytest.param({**PAIR, "margin": [1]}, Reason.MARGIN, id="margin in a list"),
        pytest.param({**PAIR, "soft_label": 1.5}, Reason.SOFT_LABEL, id="no probability"),
        pytest.param({**RANKED, "soft_label": 0.5}, Reason.SOFT_LABEL, id="soft label of three"),
        pytest.param({**PAIR, "label_weight": 0}, Reason.WEIGHT, id="no weight"),
        pytest.param({**PAIR, "image": 3}, Reason.IMAGE_NAME, id="image not a path"),
        pytest.param({**PAIR, "images": ["a", ""]}, Reason.IMAGE_NAME, id="nameless image"),
        pytest.param({**PAIR, "image": "a\0b"}, Reason.IMAGE_NAME, id="null in a path"),
    ],
)
def test_an_unusable_row_is_refused_for_its_reason(row: object, reason: Reason) -> None:
    with pytest.raises(UnusableRow) as caught:
        parse_row(row, {})

    assert caught.value.reason == reason


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)
cells = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        [
            "prompt", "chosen", "rejected", "responses", "ranks", "rankings", "image", "images",
            "category", "group_id", "margin", "soft_label", "label_weight", "critiques",
            "chosen_critique",
        ],
        values,
    ),
)  # fmt: skip


@given(cells)
def test_no_row_whatever_it_holds_breaks_the_reading(row: dict[str, Any]) -> None:
    try:
        parsed = parse_row(row, {})
    except UnusableRow:
        return

    assert len(parsed.responses) >= 2
    assert min(response.rank for response in parsed.responses) == 1
