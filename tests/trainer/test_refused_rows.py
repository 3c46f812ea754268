"""Rows of a file that a model cannot take: left out and told, whichever member it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.trainer.trials import small_config
from trainer.data.unlabelled import Row
from trainer.model.backbone import read_backbone
from trainer.model.reward_model import RewardModel
from trainer.score_forms import read_scored
from trainer.scoring import ModelScorer
from trainer.scoring_files import score_file

ROWS = 10


def test_rows_that_a_model_cannot_take_are_told_and_all_others_scored(
    backbone_folder: Path, tmp_path: Path
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
    model = RewardModel(read_backbone(backbone_folder), small_config(backbone_folder))
    outcomes, tables = {}, {}
    for name, rows in files.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = path.with_suffix(".parquet")
        outcomes[name] = score_file(ModelScorer(model), path, out, chunk_rows=4)
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
