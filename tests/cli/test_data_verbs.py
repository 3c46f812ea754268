"""`rmsweep data inspect` answers for kinds, files, published sets and sweep files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.trainer.data.pair_file_writing import text_row, write_image, write_rows
from tests.trainer.data.published_rows import TRAINING


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    write_image(tmp_path / "shown" / "a.png", 3)
    rows = [text_row(n, image="a.png") for n in range(12)]
    return write_rows(tmp_path / "pairs.jsonl", [*rows, text_row(20, rejected="")])


def test_a_file_is_inspected_with_the_settings_given(rmsweep: Command, pairs: Path) -> None:
    answer = rmsweep("data", "inspect", str(pairs), "--with", "image_folder=shown", "--json")
    (found,) = json.loads(answer.out)["sources"]

    assert answer.code == 0
    assert found["report"]["kept"] == 12
    assert found["report"]["dropped"] == {"an empty response": 1}


def test_people_read_the_same_in_a_panel(rmsweep: Command, pairs: Path) -> None:
    answer = rmsweep("data", "inspect", str(pairs), "--with", "image_folder=shown")

    assert answer.code == 0
    for said in ("pairs.jsonl", "12 items of 13 rows", "an empty response", "characters"):
        assert said in answer.out


def test_a_published_set_is_named_by_its_kind(rmsweep: Command, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "shp.jsonl", [TRAINING["shp"]])
    found = json.loads(rmsweep("data", "inspect", f"shp:{path}", "--json").out)["sources"][0]

    assert (found["kind"], found["report"]["kept"]) == ("shp", 1)


def test_images_under_a_wrong_ending_are_read_and_texts_that_are_none_are_counted(
    rmsweep: Command, tmp_path: Path
) -> None:
    write_image(tmp_path / "it.png", 1).rename(tmp_path / "it.jpg")
    (tmp_path / "no.png").write_text("not an image")
    rows = [text_row(1, image="it.jpg"), text_row(2, image="no.png")]
    path = write_rows(tmp_path / "rows.jsonl", rows)

    answer = rmsweep("data", "inspect", str(path), "--json")
    (found,) = json.loads(answer.out)["sources"]

    assert answer.code == 0
    assert found["report"]["kept"] == 1
    assert found["report"]["dropped"] == {"a corrupt image": 1}


def test_a_sweep_file_s_data_is_inspected_as_a_mix(rmsweep: Command, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "pairs.jsonl", [text_row(n) for n in range(40)])
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        f"""\
name: mine
baseline:
  data:
    pairs: 64
    weights: {{text: 1, mine: 1}}
    sources: {{mine: {{kind: file, settings: {{path: "{path}"}}}}}}
  evaluation: {{benchmarks: {{validation: {{parts: {{text: 20}}}}}}}}
axes: {{head.layers: [1, 2]}}
"""
    )
    whole = json.loads(rmsweep("data", "inspect", str(sweep), "--items", "50", "--json").out)
    one = json.loads(rmsweep("data", "inspect", str(sweep), "--only", "mine", "--json").out)

    assert {each["name"] for each in whole["sources"]} == {"text", "mine"}
    assert whole["mix"]["shares"]["mine"]["items"] == 32
    assert whole["mix"]["benchmarks"]["validation"]["leaked"] == 0
    assert [each["name"] for each in one["sources"]] == ["mine"]
    assert "the mix" in rmsweep("data", "inspect", str(sweep), "--items", "50").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl"),
        (["scene"], "did you mean 'scenes'"),
        (["some/folder/rows.csv"], "there is no file, folder or source"),
        (["rlaif-v:nowhere.parquet"], "does not exist"),
        (["scenes", "--with", "difficulty"], "--with NAME=VALUE"),
        (["scenes", "--with", "difficulty=odd"], "difficulty"),
        (["shp"], "path"),
        (["demo", "--only", "scense"], "did you mean 'scenes'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(
    rmsweep: Command, arguments: list[str], said: str
) -> None:
    answer = rmsweep("data", "inspect", *arguments)

    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
