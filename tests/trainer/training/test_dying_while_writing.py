"""Wherever a machine dies while it writes a checkpoint, the one before it is gone on from."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.object_store import LocalStore
from tests.trainer.training.dying_writer import Moment, train_until
from tests.trainer.trials import Notebook, small_config
from trainer.config import TrainerConfig
from trainer.gangs.ranks import run_trial
from trainer.record import left_checkpoints

LONG: dict[str, Any] = {
    "data": {"pairs": 160},
    "head": {"dropout": 0.2},
    "evaluation": {
        "during": [0.25, 0.5, 0.75],
        "benchmarks": {"validation": {"parts": {"scenes": 10}}},
    },
}
"""Twenty steps, checkpoints after 5, 10 and 15: the third deletes the first."""


@dataclass(frozen=True)
class Begun:
    """A training stopped after ten steps, with two checkpoints, and one that nothing broke."""

    config: TrainerConfig
    store: LocalStore
    weights: bytes


def begun(folder: Path, backbone: Path, **machine: int) -> Begun:
    config = small_config(backbone, machine=machine, **LONG)
    unbroken, stopped = LocalStore(folder / "unbroken"), LocalStore(folder / "stopped")
    run_trial(config, store_uri=unbroken.uri, identity="t", reporter=Notebook())
    notebook = Notebook(stop=lambda report: report.step == 10)
    run_trial(config, store_uri=stopped.uri, identity="t", reporter=notebook)
    return Begun(config, stopped, unbroken.read("trials/t/model/model.safetensors"))


@pytest.fixture(scope="module")
def alone(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Begun:
    return begun(tmp_path_factory.mktemp("alone"), backbone_folder)


@pytest.fixture(scope="module")
def gang(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Begun:
    folder = tmp_path_factory.mktemp("gang")
    return begun(folder, backbone_folder, workers=2, zero_stage=2)


def operations(trained: Begun, folder: Path) -> list[str]:
    """On checkpoints, from the tenth step to the report that tells of the third."""
    copy = LocalStore(folder / "counted")
    shutil.copytree(trained.store.root, copy.root)
    return train_until(
        trained.config,
        copy.root,
        log=folder / "counted.log",
        moment=None,
        resume_from=left_checkpoints(copy, "t"),
        stop_at=17,
    )


def assert_the_one_before_is_gone_on_from(trained: Begun, moment: Moment, folder: Path) -> None:
    store = LocalStore(folder / "store")
    shutil.copytree(trained.store.root, store.root)
    train_until(
        trained.config,
        store.root,
        log=folder / "log",
        moment=moment,
        resume_from=left_checkpoints(store, "t"),
        stop_at=17,
    )
    notebook = Notebook()

    left = left_checkpoints(store, "t")
    run_trial(
        trained.config, store_uri=store.uri, identity="t", reporter=notebook, resume_from=left
    )

    assert left[0].step == 10  # only a report makes a checkpoint known, and none came
    attempts = json.loads(store.read("trials/t/record.json"))["attempts"]
    assert attempts[-1]["resumed_from"]["step"] == 10
    assert [report.note for report in notebook.reports if report.note] == []
    assert store.read("trials/t/model/model.safetensors") == trained.weights
    assert store.keys("trials/t/checkpoints/") == []


def moments(done: list[str], rank: int = 0) -> list[Moment]:
    """Before, within and after every operation on the third checkpoint, and those it deletes."""
    return [
        Moment(operation, when, rank)
        for operation in done
        if operation.startswith("delete step-5/") or " step-15/" in operation
        for when in ("before", "within", "after")
        if not (when == "within" and operation.startswith("delete"))
    ]


MANIFEST = "write step-15/manifest.json"


@pytest.mark.parametrize(
    "moment",
    [
        Moment("upload step-15/random/rank-0.safetensors", "within"),
        Moment(MANIFEST, "before"),
        Moment(MANIFEST, "within"),
        Moment(MANIFEST, "after"),
        Moment("delete step-5/manifest.json", "after"),
    ],
    ids=str,
)
def test_a_training_that_dies_while_it_writes_goes_on_from_the_checkpoint_before(
    moment: Moment, alone: Begun, tmp_path: Path
) -> None:
    assert_the_one_before_is_gone_on_from(alone, moment, tmp_path)


@pytest.mark.slow
def test_there_is_no_moment_of_writing_that_loses_the_checkpoint_before(
    alone: Begun, tmp_path: Path
) -> None:
    done = operations(alone, tmp_path)
    assert {"write", "upload", "delete"} == {each.partition(" ")[0] for each in done}
    assert MANIFEST in done

    for number, moment in enumerate(moments(done)):
        assert_the_one_before_is_gone_on_from(alone, moment, tmp_path / str(number))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_nor_is_there_one_in_a_gang_whichever_rank_dies(
    rank: int, gang: Begun, tmp_path: Path
) -> None:
    done = [each for each in operations(gang, tmp_path) if rank == 0 or "rank-1" in each]
    own = f"upload step-15/random/rank-{rank}.safetensors"

    for number, moment in enumerate(moments([own, *([MANIFEST] if rank == 0 else [])], rank)):
        assert moment.operation in done
        assert_the_one_before_is_gone_on_from(gang, moment, tmp_path / str(number))
