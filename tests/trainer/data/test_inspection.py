"""An inspection counts what is wrong with data, and remarks on what would mislead a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.pair_file_writing import Row, text_row, write_image, write_rows
from tests.trainer.data.published_rows import TRAINING
from trainer.config import SourceConfig, TrainerConfig
from trainer.data.inspection import inspect_source
from trainer.data.mix_inspection import inspect_mix

LONG = "the quick brown fox jumps over the lazy dog near the old mill by the river at dawn"


def inspected(path: Path, kind: str = "file", **settings: Any) -> Any:  # noqa: ANN401 -- any setting
    config = SourceConfig(kind=kind, settings={"path": str(path), **settings})
    return inspect_source("mine", config, most=1000)


def test_every_kind_of_fault_is_counted_by_its_name(tmp_path: Path) -> None:
    write_image(tmp_path / "fine.png", 1)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    rows: list[Row] = [
        *(text_row(n) for n in range(20)),
        text_row(3),
        text_row(5, chosen="Bad answer 5.", rejected="Good answer 5."),
        text_row(30, image="gone.png"),
        text_row(31, image="broken.png"),
        text_row(32, image="fine.png", soft_label=0.8, margin=1.0, chosen_critique="Good."),
        text_row(33, chosen="same", rejected="same"),
        {"prompt": "?", "responses": ["a", "b"], "ranks": [1, 1]},
        {"prompt": "?", "responses": ["a", "b", "c"], "ranks": [1, 1, 2]},
    ]
    found = inspected(write_rows(tmp_path / "rows.jsonl", rows))

    assert found.report.dropped == {
        "a repetition of another row": 1,
        "a missing image": 1,
        "a corrupt image": 1,
        "identical responses": 1,
        "all responses tied": 1,
    }
    assert found.report.contradicted == 2
    assert found.holds == {
        "images": 1, "several images": 0, "ties": 1, "margins": 1, "soft labels": 1, "critiques": 1,
    }  # fmt: skip
    assert found.responses == {2: 22, 3: 1}
    assert sum(found.splits.values()) == found.report.kept == found.looked_at == 23
    assert any("contradict" in note for note in found.notes)
    json.dumps(found.plain())


def test_verdicts_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    row = TRAINING["llava-critic"]
    silent = [row["conversations"][0], {"from": "gpt", "value": "Hard to say."}]
    rows = [{**row, "image": None}, {**row, "image": None, "conversations": silent}]
    found = inspected(write_rows(tmp_path / "rows.jsonl", rows), "llava-critic")

    assert found.report.dropped == {"no verdict can be read": 1}


def test_length_and_place_that_tell_the_better_response_are_remarked_on(tmp_path: Path) -> None:
    rows = [text_row(n, chosen=f"{LONG} {n}", rejected="short") for n in range(200)]
    found = inspected(write_rows(tmp_path / "rows.jsonl", rows))

    assert found.pairs.longer_wins == 1.0
    assert found.report.best_first == 200
    assert abs(found.pairs.first_wins - 0.5) < 0.2
    assert any("length alone scores that" in note for note in found.notes)
    assert found.lengths["worse response"] == dict.fromkeys(found.lengths["worse response"], 5)


def test_fair_data_is_not_remarked_on(tmp_path: Path) -> None:
    rows = [text_row(n, chosen="a" * (5 + n % 2), rejected="b" * (6 - n % 2)) for n in range(200)]
    found = inspected(write_rows(tmp_path / "rows.jsonl", rows))

    assert found.notes == ()


def test_near_repetitions_across_splits_are_found(tmp_path: Path) -> None:
    rows = [text_row(n, prompt=f"Please, {n}: {LONG} {LONG}") for n in range(60)]
    found = inspected(write_rows(tmp_path / "rows.jsonl", rows))

    assert found.groups.straddling == found.groups.leaked == 0
    assert found.groups.nearly_leaked == found.splits["validation"] + found.splits["test"] > 0


def test_a_file_without_a_usable_row_is_still_reported(tmp_path: Path) -> None:
    found = inspected(write_rows(tmp_path / "rows.jsonl", [{"a": 1}, {"b": 2}]))

    assert found.report.dropped == {"no prompt": 2}
    assert found.notes == ("no row can be used",)


@pytest.mark.parametrize("kind", ["scenes", "digits", "text"])
def test_what_code_draws_has_no_rows_and_no_leaks(kind: str) -> None:
    found = inspect_source(kind, SourceConfig(kind=kind), most=150)

    assert found.report is None
    assert found.splits["train"] == (5732 if kind == "digits" else None)
    assert found.groups.straddling == found.groups.leaked == 0


def test_a_mix_says_how_often_items_come_and_what_leaks_into_benchmarks(tmp_path: Path) -> None:
    trained = write_rows(tmp_path / "train.jsonl", [text_row(n) for n in range(50)])
    held: list[Row] = [text_row(n) for n in range(100, 110)]
    held += [text_row(7), text_row(8)]
    measured = write_rows(tmp_path / "test.jsonl", held)
    settings: dict[str, Any] = {
        "data": {
            "pairs": 100,
            "weights": {"mine": 1},
            "sources": {
                "mine": {"kind": "file", "settings": {"path": str(trained), "split": "train"}},
                "held": {"kind": "file", "settings": {"path": str(measured), "split": "test"}},
            },
        },
        "evaluation": {"benchmarks": {"held": {"split": "test", "parts": {"held": "all"}}}},
    }
    mix = inspect_mix(TrainerConfig.model_validate(settings))

    assert (mix.shares["mine"].items, mix.shares["mine"].different) == (100, 50)
    assert mix.shares["mine"].repeated == 2
    assert (mix.benchmarks["held"].items, mix.benchmarks["held"].leaked) == (12, 2)
    settings["data"]["decontaminate"] = {"against": ["held"]}
    cleaned = inspect_mix(TrainerConfig.model_validate(settings))
    assert cleaned.left_out == {"a prompt of a benchmark": 2}
    assert cleaned.benchmarks["held"].leaked == 0
    json.dumps(cleaned.plain())
