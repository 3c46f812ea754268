"""Files of pairs: what can be used is kept in whole groups, the rest is counted by reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.errors import DataError, MissingError
from tests.trainer.data.pair_file_writing import Row, text_row, write_image, write_rows
from trainer.data.items import PreferenceItem
from trainer.data.pair_files import PairFileSettings, PairFileSource
from trainer.data.splits import split_of


def opened(path: Path, **more: Any) -> PairFileSource:  # noqa: ANN401 -- of any setting
    return PairFileSource(PairFileSettings(path=str(path), **more))


def every_item(source: PairFileSource) -> list[PreferenceItem]:
    return [i for s in ("train", "validation", "test") for i in source.items(s, 10**6, seed=0)]


def test_ties_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    tied = {"prompt": "x", "responses": ["a", "b"], "ranks": [1, 1]}
    path = write_rows(tmp_path / "rows.jsonl", [text_row(1, soft_label=0.8), tied])
    assert opened(path).report().dropped == {"all responses tied": 1}
    items = every_item(opened(path, ties="keep"))
    assert sorted(item.soft_label or 0.0 for item in items) == [0.0, 0.8]


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
def test_every_format_gives_the_same_items(tmp_path: Path, ending: str) -> None:
    rows = []
    for number in range(12):
        write_image(tmp_path / f"{number}.png", number)
        rows.append(
            {
                "prompt": f"What, {number}?\nSay.",
                "responses": ["yes, that", 'a "no"', "-"],
                "rankings": [2, 1, 2],
                "images": [f"{number}.png"],
                "category": "c",
                "margin": 0.5,
                "group_id": f"g{number // 2}",
            }
        )
    lines = opened(write_rows(tmp_path / "rows.jsonl", rows))
    other = opened(write_rows(tmp_path / f"other.{ending}", rows))

    assert every_item(other) == every_item(lines)
    assert other.digest("train", 99, seed=0) == lines.digest("train", 99, seed=0)
    assert len(every_item(lines)) == 12
    assert len({item.group_id for item in every_item(lines)}) == 6


def test_what_cannot_be_used_is_counted_by_reason(tmp_path: Path) -> None:
    write_image(tmp_path / "good.png", 1)
    whole = write_image(tmp_path / "whole.png", 2).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:40])
    rows: list[Row] = [
        text_row(1, image="good.png"),
        text_row(2, image="missing.png"),
        text_row(3, image="cut.png"),
        text_row(4, rejected=""),
        text_row(5, chosen="same", rejected="same"),
        {"prompt": "x", "responses": ["a", "b"], "ranks": [1, 1]},
        text_row(1, image="good.png"),
        text_row(7, image="missing too.png"),
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    with path.open("a") as file:
        file.write('{"prompt": broken\n[1]\n\n')
    report = opened(path).report()

    assert (report.rows, report.kept, report.groups) == (10, 1, 1)
    assert report.dropped == {
        "a missing image": 2,
        "a corrupt image": 1,
        "an empty response": 1,
        "identical responses": 1,
        "all responses tied": 1,
        "a repetition of another row": 1,
        "not a mapping of columns to values": 2,
    }
    assert report.first_rows["a missing image"] == 2
    assert "2 left out: a missing image (first in row 2)" in str(report)


def _ask(source: PairFileSource, what: str) -> object:
    return source.size("train") if what == "size" else source.digest("train", 1, seed=0)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param([text_row(1, rejected="Good answer 1.")] * 3, "identical", id="same"),
        pytest.param(
            [{"prompt": "x", "responses": ["a", "b"], "ranks": [1, 1]}] * 3, "3 .*tied", id="tied"
        ),
        pytest.param([{"prompt": "x", "chosen": "a"}] * 3, "3 .*fewer than two", id="only chosen"),
        pytest.param([text_row(1, image="gone.png")] * 3, "3 .*missing image", id="no image"),
    ],
)
@pytest.mark.parametrize("ask", ["digest", "size"])
def test_a_file_without_a_usable_row_is_refused_with_its_counts(
    tmp_path: Path, rows: list[Row], reason: str, ask: str
) -> None:
    source = opened(write_rows(tmp_path / "rows.jsonl", rows))

    with pytest.raises(DataError, match=f"no row can be used(.|\n)*{reason}"):
        _ask(source, ask)


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv", "header.csv"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("prompt,chosen,rejected\n" if name == "header.csv" else "")

    with pytest.raises(DataError, match="holds no rows"):
        opened(tmp_path / name).report()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("x.parquet", b"not parquet", "cannot be read as parquet", id="parquet"),
        pytest.param("x.jsonl", b"\xff\xfe\x00{}", "jsonl.*save it as UTF-8", id="encoding"),
        pytest.param("x.yaml", b"{}", "cannot tell the format", id="ending"),
    ],
)
def test_an_unreadable_file_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DataError, match=message):
        opened(tmp_path / name).report()


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"file of pairs .* does not exist"):
        opened(tmp_path / "none.jsonl").digest("train", 1, seed=0)
    with pytest.raises(DataError, match="no file of rows"):
        opened(tmp_path).report()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with the rows' file in it and a perfectly good image beside it."""
    write_image(tmp_path / "secret.png", 5)
    inside = tmp_path / "data"
    inside.mkdir()
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    (inside / "folder").symlink_to(tmp_path)
    write_image(inside / "fine.png", 6)
    return inside


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../secret.png", id="parent"),
        pytest.param("folder/../../secret.png", id="parent inside"),
        pytest.param("..\\secret.png", id="backslash"),
        pytest.param("link.png", id="link"),
        pytest.param("folder/secret.png", id="linked folder"),
        pytest.param("{outside}/secret.png", id="absolute"),
        pytest.param("{outside}/data/fine.png", id="absolute inside"),
    ],
)
def test_an_image_outside_the_folder_is_never_opened(outside: Path, name: str) -> None:
    named = name.format(outside=outside.parent)
    rows = [text_row(1, image=named), text_row(2, image="fine.png")]
    source = opened(write_rows(outside / "rows.jsonl", rows))

    assert source.report().dropped == {"an image outside the image folder": 1}
    assert len(every_item(source)) == 1


def test_strange_image_names_are_missing_images(tmp_path: Path) -> None:
    (tmp_path / "round.png").symlink_to(tmp_path / "round.png")
    names = ["x" * 5000, "round.png", ".", "a/b/c.png"]
    rows = [text_row(0)] + [text_row(1, image=name) for name in names]
    report = opened(write_rows(tmp_path / "rows.jsonl", rows)).report()

    assert report.dropped == {"a missing image": 4}


def test_the_image_folder_can_lie_elsewhere(tmp_path: Path) -> None:
    write_image(tmp_path / "pictures" / "a.png", 3)
    (tmp_path / "rows").mkdir()
    path = write_rows(tmp_path / "rows" / "rows.jsonl", [text_row(1, image="a.png")])

    assert opened(path, image_folder="../pictures").report().kept == 1


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 5), max_size=2, unique=True),
            st.integers(0, 6),
            st.none() | st.integers(0, 3),
        ),
        min_size=1,
        max_size=14,
    )
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
def test_rows_that_share_an_image_a_bare_prompt_or_a_group_share_a_split(
    tmp_path: Path, drawn: list[tuple[list[int], int, int | None]]
) -> None:
    for number in range(6):
        write_image(tmp_path / f"{number}.png", number)
    rows: list[Row] = []
    for place, (pictures, prompt, group) in enumerate(drawn):
        row = text_row(place, prompt=f"Prompt {prompt}", images=[f"{p}.png" for p in pictures])
        rows.append(row if group is None else {**row, "group_id": f"group {group}"})
    items = every_item(opened(write_rows(tmp_path / "rows.jsonl", rows)))

    assert len(items) == len(rows)
    home: dict[str, str] = {}
    for item in items:
        place = int(item.responses[0].text.rstrip(".").split()[-1])
        group = rows[place].get("group_id")
        ties = [image.key for image in item.images] or [item.prompt]
        for tie in [*ties, *([group] if group else [])]:
            assert home.setdefault(tie, item.group_id) == item.group_id


def test_rows_with_different_images_may_share_a_prompt(tmp_path: Path) -> None:
    for number in range(40):
        write_image(tmp_path / f"{number}.png", number)
    rows = [text_row(n, prompt="How many?", image=f"{n}.png") for n in range(40)]
    items = every_item(opened(write_rows(tmp_path / "rows.jsonl", rows)))

    assert len({item.group_id for item in items}) == 40
    assert {split_of(item.group_id) for item in items} == {"train", "validation", "test"}


def test_the_order_of_the_rows_changes_nothing(tmp_path: Path) -> None:
    rows = [text_row(number) for number in range(60)]
    forward = opened(write_rows(tmp_path / "a.jsonl", rows))
    backward = opened(write_rows(tmp_path / "b.jsonl", rows[::-1]))

    assert forward.items("train", 20, seed=3) == backward.items("train", 20, seed=3)
    assert forward.digest("train", 20, seed=3) == backward.digest("train", 20, seed=3)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"chosen": "Another answer."}, id="response"),
        pytest.param({"margin": 2.0}, id="margin"),
        pytest.param({"category": "other"}, id="category"),
        pytest.param({"chosen_critique": "Fine."}, id="critique"),
        pytest.param({"label_weight": 0.5}, id="weight"),
    ],
)
def test_the_digest_changes_with_what_a_row_says(tmp_path: Path, change: dict[str, Any]) -> None:
    rows = [text_row(number) for number in range(30)]
    before = opened(write_rows(tmp_path / "rows.jsonl", rows)).digest("train", 99, seed=0)
    changed = [{**row, **change, "note": "unread"} for row in rows]

    after = opened(write_rows(tmp_path / "rows.jsonl", changed)).digest("train", 99, seed=0)
    unread = [{**row, "note": "unread"} for row in rows]
    assert after != before
    assert opened(write_rows(tmp_path / "c.jsonl", unread)).digest("train", 99, seed=0) == before


def test_the_digest_changes_with_the_pixels_and_not_with_their_place(tmp_path: Path) -> None:
    digests = []
    for folder, shade in (("a", 1), ("b", 1), ("c", 2)):
        write_image(tmp_path / folder / "x.png", shade)
        path = write_rows(tmp_path / folder / "rows.jsonl", [text_row(1, image="x.png")])
        digests.append([opened(path).digest(s, 9, seed=0) for s in ("train", "validation", "test")])

    assert digests[0] == digests[1] != digests[2]


def test_a_file_may_belong_to_one_split_as_a_whole(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [text_row(number) for number in range(30)])
    source = opened(path, split="test", images="trust")

    assert len(source.items("test", 99, seed=0)) == 30
    assert source.items("train", 99, seed=0) == []
    assert source.report().splits == {"test": 30}


def test_the_file_s_habit_of_naming_the_best_first_does_not_show(tmp_path: Path) -> None:
    rows = [text_row(number) for number in range(400)]
    items = every_item(opened(write_rows(tmp_path / "rows.jsonl", rows)))
    first = Counter(item.responses[0].rank for item in items)

    assert abs(first[1] - 200) < 50
