"""Damaged checkpoints: refused by their manifest, passed over for the one before, and said so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from infra.errors import DamagedTrial
from infra.object_store import LocalStore
from tests.trainer.trials import Notebook, small_config
from trainer.config import TrainerConfig
from trainer.gangs.gang import Gang
from trainer.gangs.ranks import run_trial
from trainer.reporting import CheckpointReference
from trainer.training.checkpoint import Checkpoints

LONG: dict[str, Any] = {
    "data": {"pairs": 160},
    "head": {"dropout": 0.2},
    "evaluation": {
        "during": [0.25, 0.5],
        "benchmarks": {"validation": {"parts": {"scenes": 10}}},
    },
}
"""Twenty steps, checkpoints after five and ten, and dropout, whose random state is kept, too."""


def damage(store: LocalStore, step: str, ending: str, how: Callable[[bytes], bytes]) -> None:
    """Change a file of a checkpoint where it lies."""
    keys = store.keys(f"trials/t/checkpoints/{step}/")
    path = store.root / next(key for key in keys if key.endswith(ending))
    path.write_bytes(how(path.read_bytes()))


def flipped(data: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def cut(data: bytes) -> bytes:
    """Written half."""
    return data[: len(data) // 2]


def stopped_with_two_checkpoints(
    folder: Path, store: LocalStore, config: TrainerConfig
) -> list[CheckpointReference]:
    """The checkpoints of a trial that was stopped after ten steps, newest first."""
    notebook = Notebook(stop=lambda report: report.step == 10)
    run_trial(config, store_uri=store.uri, identity="t", reporter=notebook)
    told = [report.checkpoint for report in notebook.reports if report.checkpoint is not None]
    assert [reference.step for reference in told] == [5, 10]
    return told[::-1]


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param({}, id="one rank"),
        pytest.param({"workers": 2, "zero_stage": 2}, id="two ranks at stage 2"),
    ],
)
def test_where_the_newest_checkpoint_is_damaged_the_one_before_it_resumes_bit_by_bit(
    machine: dict[str, Any], backbone_folder: Path, tmp_path: Path
) -> None:
    broken, whole = LocalStore(tmp_path / "broken"), LocalStore(tmp_path / "whole")
    config = small_config(backbone_folder, machine=machine, **LONG)
    unbroken, resumed = Notebook(), Notebook()
    run_trial(config, store_uri=whole.uri, identity="t", reporter=unbroken)
    newest, before = stopped_with_two_checkpoints(backbone_folder, broken, config)
    damage(broken, "step-10", ".safetensors", flipped)

    outcome = run_trial(
        config,
        store_uri=broken.uri,
        identity="t",
        reporter=resumed,
        resume_from=[newest, before],
    )

    first = resumed.reports[0]
    assert (first.step, first.checkpoint, first.metrics) == (5, before, {})
    assert "the checkpoint at step 10 was refused" in first.note
    assert "trained on from step 5" in first.note
    log = broken.read("trials/t/logs/attempt-2/rank-0.txt").decode()
    assert "the checkpoint at step 10 was refused" in log
    record = json.loads(broken.read("trials/t/record.json"))
    assert record["attempts"][-1]["resumed_from"]["step"] == 5
    later = [report.step for report in unbroken.reports if report.step > 5 and report.metrics]
    assert [report.step for report in resumed.reports if report.metrics] == later
    for metric in ("train/loss", "train/gradient_norm"):
        assert resumed.metric(metric) == unbroken.metric(metric, later)
    weights = "trials/t/model/model.safetensors"
    assert broken.read(weights) == whole.read(weights)
    assert outcome.finished


def emptied(data: bytes) -> bytes:
    """Made, and never written."""
    return data[:0]


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param({}, id="one rank"),
        pytest.param({"workers": 2, "zero_stage": 2}, id="two ranks at stage 2"),
    ],
)
def test_whatever_file_of_a_checkpoint_is_damaged_the_one_before_is_taken_and_it_is_said(
    machine: dict[str, Any], backbone_folder: Path, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)
    config = small_config(backbone_folder, machine=machine, **LONG)
    references = stopped_with_two_checkpoints(backbone_folder, store, config)
    # Which rank looks makes no difference: each fetches and compares every file.
    one = Checkpoints(
        store, "t", config, AloneAmong(0, config.machine.workers, torch.device("cpu"))
    )
    folder = "trials/t/checkpoints/step-10/"
    good = {key.removeprefix(folder): store.read(key) for key in store.keys(folder)}

    def fetched() -> tuple[int, str]:
        whole = one.fetch(references)
        whole.discard()
        return whole.step, whole.note

    assert fetched() == (10, "")
    ranks = range(config.machine.workers)
    assert {"manifest.json", *(f"random/rank-{rank}.safetensors" for rank in ranks)} < set(good)
    assert any(name.endswith(".pt") for name in good)
    for name, data in good.items():
        changed = "was recorded" if name == "manifest.json" else "is not the file its manifest"
        gone = "no complete checkpoint" if name == "manifest.json" else "holds no object"
        for how in (cut, flipped, emptied):
            damage(store, "step-10", name, how)
            step, note = fetched()
            assert (step, changed in note) == (5, True), f"{name} {how.__name__}: {note}"
            assert "trained on from step 5" in note
            store.write(folder + name, data)
        store.delete(folder + name)
        step, note = fetched()
        assert (step, gone in note) == (5, True), f"{name} missing: {note}"
        store.write(folder + name, data)
    damage(store, "step-10", "manifest.json", cut)
    damage(store, "step-5", "manifest.json", cut)
    with pytest.raises(DamagedTrial, match=r"at step 10 was refused.*at step 5 was refused"):
        fetched()


class AloneAmong(Gang):
    """A rank that hears nothing but itself."""

    def gather(self, data: bytes) -> list[bytes]:
        """Its own word."""
        return [data]
