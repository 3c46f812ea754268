"""What ends a training for all its ranks, and how early."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import DataTrialFailure, DivergedTrial
from infra.object_store import LocalStore
from tests.trainer.data.pair_file_writing import text_row, write_rows
from tests.trainer.trials import Notebook, small_config
from trainer.gangs.ranks import run_trial


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.mark.parametrize("stage", [0, 2])
def test_a_loss_that_is_not_finite_on_one_rank_takes_the_whole_gang_out_together(
    stage: int, backbone_folder: Path, store: LocalStore, tmp_path: Path
) -> None:
    # An infinite loss, but a gradient like any other: nothing else tells the other rank of it.
    rows = [text_row(number, margin=1e39 if number == 3 else 0.0) for number in range(8)]
    source = {"path": str(write_rows(tmp_path / "rows.jsonl", rows)), "split": "train"}
    config = small_config(
        backbone_folder,
        data={
            "pairs": 8,
            "sources": {"file": {"kind": "file", "settings": source}},
            "weights": {"file": 1},
        },
        strategy={"batch_pairs": 8, "epochs": 4, "use_margin": True},
        machine={"workers": 2, "zero_stage": stage},
    )

    with pytest.raises(DivergedTrial, match=r"at step 1 the loss was inf and the gradient norm \d"):
        run_trial(config, store_uri=store.uri, identity="t", reporter=Notebook())

    for rank in range(2):
        log = store.read(f"trials/t/logs/attempt-1/rank-{rank}.txt").decode()
        assert "DivergedTrial: at step 1 the loss was inf" in log, rank


@pytest.mark.parametrize("held_out", [False, True])
def test_a_response_that_is_too_long_ends_a_trial_before_its_first_step(
    held_out: bool, backbone_folder: Path, store: LocalStore, tmp_path: Path
) -> None:
    long = text_row(99, chosen="circle " * 100_000)
    path = write_rows(tmp_path / "rows.jsonl", [text_row(number) for number in range(40)] + [long])
    own = {
        "sources": {"own": {"kind": "file", "settings": {"path": str(path), "split": "train"}}},
        "weights": {"own": 1},
        "pairs": 41,
    }
    part = {"kind": "file", "settings": {"path": str(path), "split": "test"}}
    config = small_config(
        backbone_folder,
        data={"sources": {"own": part}} if held_out else own,
        strategy={"batch_pairs": 1},
        evaluation={
            "benchmarks": {"own": {"split": "test", "parts": {"own": "all"}}},
            "monitor": "own",
        }
        if held_out
        else {},
    )
    notebook = Notebook()

    with pytest.raises(DataTrialFailure, match=r"takes 100\d+ tokens, but the backbone reads"):
        run_trial(config, store_uri=store.uri, identity="t", reporter=notebook)

    assert notebook.reports == []
