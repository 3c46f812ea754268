"""`score` and `ensemble` as a user types them, without a sweep."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.analysis.made_sweeps import Recipe, make_sweep, one_axis
from tests.cli.conftest import Command
from tests.trainer.trials import short_backbone, small_config
from trainer.model.backbone import read_backbone
from trainer.model.model_files import save_model
from trainer.model.reward_model import RewardModel
from trainer.scores import read_scores, score_key, write_scores


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Score tables of six models, as another program might leave them."""
    made = make_sweep(tmp_path / "made", Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.2))
    folder = tmp_path / "theirs"
    folder.mkdir()
    for number, trial in enumerate(made.ledger.trials(made.sweep_id)):
        for benchmark in ("validation", "test"):
            table = read_scores(made.store.read(score_key(trial.identity, benchmark)))
            place = folder / f"model{number}"
            place.mkdir(exist_ok=True)
            (place / f"{benchmark}.parquet").write_bytes(write_scores(table))
    return folder


def test_tables_alone_become_an_ensemble_file(
    rmsweep: Command, theirs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "e.json"

    shown = rmsweep("ensemble", "--scores", str(theirs), "--method", "greedy", "--out", str(path))
    said = rmsweep(
        "ensemble", "--scores", str(theirs), "--method", "greedy", "--json", "--out", str(path)
    )

    assert shown.code == said.code == 0, shown.err
    assert "greedy ensemble of" in shown.out
    basis = json.loads(said.out)["basis"]
    assert re.fullmatch(
        r"On \d+ pairs of test in \d+ groups; ties are wrong\. For these trained models, .*", basis
    )
    assert basis in " ".join(shown.out.split())
    spread = json.loads(said.out)["diversity"]
    for figure in (
        f"Q {spread['q_statistic']:.2f}",
        f"correlation {spread['error_correlation']:.2f}",
        f"both wrong on {100 * spread['double_fault']:.1f}% of pairs",
    ):
        assert figure in shown.out
    assert json.loads(said.out)["members"] == json.loads(path.read_text())["members"]
    prompts = tmp_path / "p.jsonl"
    prompts.write_text('{"prompt": "p", "response": "r"}\n')
    scored = rmsweep("score", str(path), str(prompts))
    assert scored.code == 2
    assert "was given as a score table" in scored.err


def test_what_ensemble_cannot_do_is_said_without_a_traceback(
    rmsweep: Command, theirs: Path, tmp_path: Path
) -> None:
    for arguments, words in (
        ([], "name a sweep, or a folder of score tables"),
        (["--scores", str(tmp_path / "none")], "is no folder"),
        (["--scores", str(theirs), "--method", "greddy"], "did you mean 'greedy'"),
        (["--scores", str(theirs), "--validation", "test"], "lacks as a validation benchmark"),
        (["--scores", str(theirs), "--method", "average", "--out", str(tmp_path)], "cannot be"),
    ):
        answer = rmsweep("ensemble", *arguments)
        assert answer.code == 2, answer.out
        assert words in answer.err


def test_a_models_scores_are_printed_and_written(rmsweep: Command, tmp_path: Path) -> None:
    backbone, model = tmp_path / "backbone", tmp_path / "model"
    short_backbone().save(backbone)
    save_model(RewardModel(read_backbone(backbone), small_config(backbone)), model, identity="one")
    prompts = tmp_path / "prompts.csv"
    prompts.write_text('prompt,responses\nHow many?,"[""One."", ""Two.""]"\nHow many?,\n')
    out = tmp_path / "scores.jsonl"

    shown = rmsweep("score", str(model), str(prompts))
    said = json.loads(rmsweep("score", str(model), str(prompts), "--json").out)
    written = rmsweep("score", str(model), str(prompts), "--out", str(out), "--split", "validation")

    assert shown.code == written.code == 0, shown.err
    assert "row 2 of" in shown.err
    assert [row["response"] for row in said] == [0, 1]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["score"] for row in rows] == pytest.approx([row["score"] for row in said])
    assert {row["split"] for row in rows} == {"validation"}
    wrong = rmsweep("score", str(model), str(prompts), "--split", "train")
    assert (wrong.code, "validation or test" in wrong.err) == (2, True)
