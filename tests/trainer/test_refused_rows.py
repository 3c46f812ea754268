"""Rows and files that cannot be scored, and places scores cannot go to: told, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infra.errors import DataError, InputError
from tests.trainer.trials import small_config
from trainer.data.unlabelled import Row
from trainer.model.backbone import read_backbone
from trainer.model.reward_model import RewardModel
from trainer.score_forms import read_scored
from trainer.scoring import ModelScorer
from trainer.scoring_files import score_file

ROWS = 10


@pytest.fixture(scope="module")
def scorer(backbone_folder: Path) -> ModelScorer:
    model = RewardModel(read_backbone(backbone_folder), small_config(backbone_folder))
    return ModelScorer(model)


def test_rows_that_a_model_cannot_take_are_told_and_all_others_scored(
    scorer: ModelScorer, tmp_path: Path
) -> None:
    good: list[Row] = [
        {"prompt": f"What is {n} plus one?", "responses": [f"{n + 1}.", f"It is {n + 2}."]}
        for n in range(ROWS)
    ]
    Image.new("RGB", (2000, 3)).save(tmp_path / "line.png")
    long: Row = {"prompt": "What?", "responses": ["word " * 100_000, "no"]}
    line: Row = {"prompt": "What is this?", "response": "A line.", "image": "line.png"}
    files: dict[str, list[Row]] = {
        "plain": good,
        "mixed": [good[0], long, *good[1:], line],
    }
    outcomes, tables = {}, {}
    for name, rows in files.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = path.with_suffix(".parquet")
        outcomes[name] = score_file(scorer, path, out, chunk_rows=4)
        tables[name] = read_scored(out)

    assert outcomes["mixed"].responses == outcomes["plain"].responses == 2 * ROWS
    told = dict(outcomes["mixed"].unusable)
    assert sorted(told) == [2, ROWS + 2]
    assert "tokens, but the backbone reads at most" in told[2]
    assert "line.png of 2000 x 3 pixels" in told[ROWS + 2]
    for table in tables.values():
        numbers = [int(name) for name in table["item_id"].to_pylist()]
        assert numbers == sorted(numbers)
    scores = [tables[name]["score"].to_numpy() for name in files]
    assert np.allclose(scores[0], scores[1], atol=1e-5)


def test_a_judge_leaves_out_what_has_a_single_response_and_scores_the_rest(
    backbone_folder: Path, tmp_path: Path
) -> None:
    rows: list[Row] = [
        {"prompt": "What is one plus one?", "response": "Two."},
        {"prompt": "What is one plus one?", "responses": ["Two.", "Three."]},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = small_config(backbone_folder, paradigm="generative")
    judge = ModelScorer(RewardModel(read_backbone(backbone_folder), config))

    outcome = score_file(judge, path, tmp_path / "scores.parquet")

    assert outcome.responses == 2
    assert [number for number, _ in outcome.unusable] == [1]
    assert "has one response, but a judge compares two" in outcome.unusable[0][1]


def test_scores_never_replace_what_is_scored(scorer: ModelScorer, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "p", "responses": ["a", "b"]}\n')
    (tmp_path / "link.jsonl").symlink_to(rows)
    before = rows.read_bytes()

    for out in (rows, tmp_path / "link.jsonl"):
        with pytest.raises(InputError, match="would replace what is scored; name another file"):
            score_file(scorer, rows, out)

    assert rows.read_bytes() == before


def test_rows_without_the_columns_there_must_be_are_told_those_they_have(
    scorer: ModelScorer, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("question,answer\na,b\n")

    with pytest.raises(DataError, match="it has question, answer; expected prompt and responses"):
        score_file(scorer, rows, tmp_path / "s.csv")


def test_a_place_that_cannot_be_written_to_is_wrong_input(
    scorer: ModelScorer, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "p", "responses": ["a", "b"]}\n')

    for out in (rows / "s.csv", Path("/proc/s.csv"), tmp_path / f"{'x' * 300}.csv"):
        with pytest.raises(InputError, match="name a file in a folder that can be written to"):
            score_file(scorer, rows, out)
