"""The trainer alone, from a YAML file to a model folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.trainer.data.pair_file_writing import text_row, write_rows
from tests.trainer.trials import small_config
from trainer.__main__ import main
from trainer.model.model_files import load_model


def test_a_config_file_becomes_a_model_folder(
    backbone_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    values = small_config(backbone_folder).model_dump(mode="json") | {"machine": "auto"}
    path.write_text(yaml.safe_dump(values))

    code = main([str(path), "--out", str(tmp_path / "out")])

    told = capsys.readouterr().out
    assert code == 0
    assert "train/loss" in told
    assert told.startswith("machine: 1 worker, ZeRO stage 0, 8 of 8 pairs at once, no gradient")
    folder = Path(told.splitlines()[-1].removeprefix("model: "))
    assert load_model(folder).head is not None


def test_a_wrong_config_names_every_problem_and_the_near_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("stratgy: {}\nhead: {layers: 9}\nseed: 99999999999999999999\n")

    code = main([str(path), "--out", str(tmp_path / "out")])

    told = capsys.readouterr().err
    assert code == 2
    assert "3 problems" in told
    assert "did you mean strategy?" in told
    assert "head.layers" in told
    assert "seed: " in told


def test_a_missing_config_is_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([str(tmp_path / "none.yaml"), "--out", str(tmp_path)])

    assert code == 2
    assert capsys.readouterr().err.startswith("error: expected a trainer config")


def test_data_that_only_the_ranks_could_judge_is_wrong_input_too(
    backbone_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [text_row(0, chosen="word " * 50_000), *(text_row(number) for number in range(1, 8))]
    source = {"path": str(write_rows(tmp_path / "rows.jsonl", rows)), "split": "train"}
    data = {"sources": {"own": {"kind": "file", "settings": source}}, "weights": {"own": 1}}
    config = small_config(backbone_folder, data=data | {"pairs": 8})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))

    code = main([str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")])

    assert code == 2
    assert "tokens, but the backbone reads at most" in capsys.readouterr().err
