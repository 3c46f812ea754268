"""The trainer alone, from a YAML file to a model folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

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
