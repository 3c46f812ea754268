"""Checkpoints: what resumes goes on bit by bit, and what was tampered with is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import DamagedTrial, DivergedTrial, OtherLayoutTrial
from infra.object_store import LocalStore
from tests.trainer.trials import Notebook, small_config
from trainer.config import TrainerConfig
from trainer.gangs.ranks import TrialProcess, run_trial
from trainer.reporting import CheckpointReference, TrialOutcome, TrialReport
from trainer.training.loop import report_steps

LONG: dict[str, Any] = {
    "data": {"pairs": 160},
    "head": {"dropout": 0.2},
    "evaluation": {
        "during": [0.5],
        "benchmarks": {"validation": {"parts": {"scenes": 10}}},
    },
}
"""Twenty steps, a checkpoint after ten, and dropout, whose random state has to be kept, too."""

HEAD_ALONE: dict[str, Any] = {"freeze": {"language_model": True}, "learning_rate": 1e-2}
HALVES = [{"share": 0.5, **HEAD_ALONE}, {"share": 0.5}]
QUARTER_FIRST = [{"share": 0.25, **HEAD_ALONE}, {"share": 0.75}]


def stopped_at_half(
    folder: Path, store: LocalStore, machine: dict[str, Any], strategy: dict[str, Any] | None = None
) -> CheckpointReference:
    """A trial that was told to stop after ten steps."""
    config = small_config(folder, **LONG, machine=machine, strategy=strategy or {})
    notebook = Notebook(stop=lambda report: report.step == 10)

    outcome = run_trial(config, store_uri=store.uri, identity="t", reporter=notebook)

    assert not outcome.finished
    assert outcome.step == 10
    reference = notebook.reports[-1].checkpoint
    assert reference is not None
    return reference


@pytest.mark.parametrize(
    ("machine", "strategy"),
    [
        pytest.param({}, {}, id="one rank"),
        pytest.param({"workers": 2, "zero_stage": 2}, {}, id="two ranks at stage 2"),
        pytest.param({"workers": 2, "zero_stage": 3}, {}, id="two ranks at stage 3"),
        pytest.param({"micro_batch_pairs": 2}, {"precision": "bf16"}, id="accumulated, in bf16"),
        pytest.param({}, {"phases": HALVES, "optimizer": "muon"}, id="between two phases, Muon"),
        pytest.param(
            {"workers": 2, "zero_stage": 2},
            {"phases": QUARTER_FIRST, "lora": {"rank": 2, "dropout": 0.2}},
            id="inside the second phase, adapters",
        ),
    ],
)
def test_a_resumed_training_repeats_the_unbroken_one_bit_by_bit(
    machine: dict[str, Any], strategy: dict[str, Any], backbone_folder: Path, tmp_path: Path
) -> None:
    broken, whole = LocalStore(tmp_path / "broken"), LocalStore(tmp_path / "whole")
    config = small_config(backbone_folder, machine=machine, strategy=strategy, **LONG)
    unbroken = Notebook()
    run_trial(config, store_uri=whole.uri, identity="t", reporter=unbroken)
    reference = stopped_at_half(backbone_folder, broken, machine, strategy)

    resumed = Notebook()
    outcome = run_trial(
        config, store_uri=broken.uri, identity="t", reporter=resumed, resume_from=[reference]
    )

    later = [report.step for report in unbroken.reports if report.step > 10]
    assert [report.step for report in resumed.reports] == later
    for metric in ("train/loss", "train/gradient_norm"):
        assert resumed.metric(metric) == unbroken.metric(metric, later)
    weights = "trials/t/model/model.safetensors"
    assert broken.read(weights) == whole.read(weights)
    assert outcome.finished
    assert broken.keys("trials/t/checkpoints/") == []
    # Beside the reports of an unbroken training, the one that told of the checkpoint.
    lines = [json.loads(line) for line in broken.read("trials/t/metrics.jsonl").splitlines()]
    told = [line["step"] for line in lines if line["metrics"]]
    assert told == [report.step for report in unbroken.reports]


def test_what_is_not_the_recorded_checkpoint_is_refused(
    backbone_folder: Path, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)
    reference = stopped_at_half(backbone_folder, store, {})

    def resume(reference: CheckpointReference, **machine: int) -> None:
        config = small_config(backbone_folder, **LONG, machine=machine)
        run_trial(
            config,
            store_uri=store.uri,
            identity="t",
            reporter=Notebook(),
            resume_from=[reference],
        )

    with pytest.raises(OtherLayoutTrial, match=r"1 ranks at ZeRO stage 0.*has 2 at stage 0"):
        resume(reference, workers=2)
    with pytest.raises(OtherLayoutTrial, match=r"1 ranks at ZeRO stage 0.*has 1 at stage 2"):
        resume(reference, zero_stage=2)
    with pytest.raises(DamagedTrial, match=r"at step 7 was refused.*no complete checkpoint"):
        resume(CheckpointReference(step=7, manifest_sha256=reference.manifest_sha256))
    with pytest.raises(DamagedTrial, match="was recorded"):
        resume(CheckpointReference(step=10, manifest_sha256="0" * 64))
    shard = next(key for key in store.keys("trials/t/checkpoints/step-10/") if key.endswith(".pt"))
    data = bytearray(store.read(shard))
    data[len(data) // 2] ^= 1
    store.write(shard, bytes(data))
    with pytest.raises(DamagedTrial, match="is not the file its manifest names"):
        resume(reference)


def test_a_checkpoint_that_is_not_finished_is_none(backbone_folder: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    seen: dict[int, bool] = {}
    evaluation = LONG["evaluation"] | {"during": [0.2, 0.6]}
    config = small_config(backbone_folder, **(LONG | {"evaluation": evaluation}))

    def look(report: TrialReport) -> bool:
        seen[report.step] = store.exists("trials/t/checkpoints/step-4/manifest.json")
        return False

    notebook = Notebook(stop=look)
    run_trial(config, store_uri=store.uri, identity="t", reporter=notebook)

    # Begun at the fourth step and complete when the next report says so, not before.
    told = [report.step for report in notebook.reports if report.checkpoint is not None]
    first = min(told)
    assert first > 4
    assert not any(seen[step] for step in seen if step < first)
    assert seen[first]


def test_only_the_last_two_checkpoints_are_kept(backbone_folder: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    kept: list[set[str]] = []
    evaluation = LONG["evaluation"] | {"during": [0.1, 0.2, 0.3, 0.4]}
    config = small_config(backbone_folder, **(LONG | {"evaluation": evaluation}))

    def look(report: TrialReport) -> bool:
        keys = store.keys("trials/t/checkpoints/")
        kept.append({key.split("/")[3] for key in keys if key.endswith("manifest.json")})
        return report.step == 8

    own = [f"trials/t/checkpoints/{name}" for name in (".DS_Store", "notes.txt", "step-x/y")]
    for key in own:
        store.write(key, b"somebody's own")
    run_trial(config, store_uri=store.uri, identity="t", reporter=Notebook(stop=look))

    assert all(store.exists(key) for key in own)
    assert kept[-1] == {"step-6", "step-8"}
    assert max(map(len, kept)) == 2


def test_a_training_that_diverges_leaves_the_last_good_checkpoint(
    backbone_folder: Path, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)

    def config(rate: float) -> TrainerConfig:
        phases = [{"share": 0.5}, {"share": 0.5, "learning_rate": rate}]
        return small_config(backbone_folder, **LONG, strategy={"phases": phases, "warmup": 0.0})

    notebook = Notebook()
    with pytest.raises(DivergedTrial, match=r"at step 1\d"):
        run_trial(config(1e30), store_uri=store.uri, identity="t", reporter=notebook)
    (reference,) = [report.checkpoint for report in notebook.reports if report.checkpoint]
    outcome = run_trial(
        config(1e-3),
        store_uri=store.uri,
        identity="t",
        reporter=Notebook(),
        resume_from=[reference],
    )

    assert reference.step == 10
    assert outcome.finished


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param({}, id="one rank"),
        pytest.param({"workers": 2, "zero_stage": 2}, id="two ranks at stage 2"),
    ],
)
def test_a_stop_between_two_reports_leaves_a_checkpoint_there_that_resumes_bit_by_bit(
    machine: dict[str, Any], backbone_folder: Path, tmp_path: Path
) -> None:
    broken, whole = LocalStore(tmp_path / "broken"), LocalStore(tmp_path / "whole")
    config = small_config(backbone_folder, machine=machine, **LONG)
    unbroken, resumed = Notebook(), Notebook()
    run_trial(config, store_uri=whole.uri, identity="t", reporter=unbroken)

    outcome, told = stopped_after(10, TrialProcess(config, store_uri=broken.uri, identity="t"))
    reference = told[-1].checkpoint
    assert reference is not None
    run_trial(config, store_uri=broken.uri, identity="t", reporter=resumed, resume_from=[reference])

    assert 11 not in report_steps(config)
    assert (outcome.finished, outcome.step, reference.step) == (False, 11, 11)
    assert [report.step for report in told if report.step > 10] == [11, 11]
    steps = [report.step for report in unbroken.reports if report.step > 11]
    assert [report.step for report in resumed.reports] == steps
    # What a report averages begins after the last one, so the first has fewer steps in its mean.
    for metric, compared in (("train/gradient_norm", steps), ("train/loss", steps[1:])):
        assert resumed.metric(metric, compared) == unbroken.metric(metric, compared)
    weights = "trials/t/model/model.safetensors"
    assert broken.read(weights) == whole.read(weights)


def stopped_after(step: int, process: TrialProcess) -> tuple[TrialOutcome, list[TrialReport]]:
    """How a trial ends, and what it reports, when the stop comes right after one of its reports."""
    told: list[TrialReport] = []
    for message in process.messages():
        if isinstance(message, TrialOutcome):
            return message, told
        told.append(message)
        if message.step == step:
            process.stop()
        process.answer("continue")
    raise AssertionError("a trial says how it ended")
