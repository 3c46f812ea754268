"""`gc`: shown first, then deleted; never what a live attempt, or the next one, starts from."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from infra.object_store import UNFINISHED_SECONDS, LocalStore
from sweep.cli.planning import plan_file
from sweep.cli.workplace import Workplace, open_workplace
from sweep.execution.registration import register
from sweep.records.lifecycle import TrialState
from sweep.records.rows import Holder
from tests.cli.conftest import Command
from trainer.reporting import CheckpointReference, TrialReport

SWEEP = "name: head\nbaseline: basereward-tiny\naxes: {head.layers: [1, 2, 3]}\n"


def trained(tmp_path: Path, *ends: TrialState | None) -> tuple[Workplace, list[str]]:
    """A registered sweep whose first trials have three checkpoints each and ended so, or run."""
    path = tmp_path / "head.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    workplace = open_workplace()
    plan, _ = plan_file(workplace, path)
    register(plan, workplace.ledger, workplace.settings)
    holder = Holder.here()
    workplace.ledger.acquire_sweep(plan.sweep_id, holder, 60)
    store = workplace.store()
    identities = [trial.identity for trial in plan.trials[: len(ends)]]
    for identity, end in zip(identities, ends, strict=True):
        attempt = workplace.ledger.claim(identity, plan.sweep_id, holder, 60)
        assert attempt is not None
        for step, accuracy in ((10, 0.9), (20, 0.6), (30, 0.7)):
            folder = f"trials/{identity}/checkpoints/step-{step}"
            store.write(f"{folder}/model.pt", b"weights")
            store.write(f"{folder}/manifest.json", b"{}")
            workplace.ledger.record_report(
                attempt.attempt_id,
                TrialReport(
                    step=step,
                    fraction=step / 100,
                    seconds=float(step),
                    metrics={"eval/validation/accuracy": accuracy},
                    checkpoint=CheckpointReference(step=step, manifest_sha256="0" * 64),
                ),
            )
        if end is not None:
            failed = end is TrialState.FAILED
            workplace.ledger.finish_attempt(
                attempt.attempt_id, end, error_kind="communication" if failed else None
            )
    return workplace, identities


def steps_left(workplace: Workplace, identity: str) -> set[str]:
    keys = workplace.store().keys(f"trials/{identity}/checkpoints/")
    return {key.split("/")[3] for key in keys}


def test_what_nobody_needs_is_shown_and_only_deleted_when_asked(
    rmsweep: Command, home: Path, tmp_path: Path
) -> None:
    ends = (TrialState.PAUSED, TrialState.FAILED, None)
    workplace, (paused, failed, live) = trained(tmp_path, *ends)

    shown = rmsweep("gc")
    listed = json.loads(rmsweep("gc", "head", "--json").out)

    assert "2 checkpoints could go; `rmsweep gc --delete` deletes them" in shown.out
    assert {(one["identity"], one["step"]) for one in listed["checkpoints"]} == {
        (paused, 20),
        (failed, 20),
    }
    assert len(steps_left(workplace, paused)) == 3

    deleted = rmsweep("gc", "--delete")

    assert "deleted 2 checkpoints" in deleted.out
    assert steps_left(workplace, paused) == {"step-10", "step-30"}  # the best and the last
    assert steps_left(workplace, failed) == {"step-10", "step-30"}
    assert len(steps_left(workplace, live)) == 3
    assert "every checkpoint there is may still be needed" in rmsweep("gc").out


def test_gc_of_a_sweep_nobody_knows_is_refused(rmsweep: Command, home: Path) -> None:
    assert rmsweep("gc", "nobody").code == 2
    assert "every checkpoint" in rmsweep("gc").out


def test_states_and_features_kept_for_later_trials_go_only_when_asked_for(
    rmsweep: Command, home: Path, tmp_path: Path
) -> None:
    workplace, _ = trained(tmp_path, TrialState.PAUSED)
    store = workplace.store()
    for key in ("pooled-states/a.safetensors", "vision-features/b.safetensors"):
        store.write(key, b"tensors")

    rmsweep("gc", "--delete")
    assert len(store.keys("pooled-states/")) == len(store.keys("vision-features/")) == 1
    shown = rmsweep("gc", "--kept")
    listed = json.loads(rmsweep("gc", "--kept", "--delete", "--json").out)

    assert "2 files of states and features could go; `rmsweep gc --kept --delete`" in shown.out
    assert listed["kept"] == ["pooled-states/a.safetensors", "vision-features/b.safetensors"]
    assert store.keys("pooled-states/") == store.keys("vision-features/") == []
    assert store.keys("trials/")


def test_what_killed_writers_left_half_written_goes_and_what_is_being_written_stays(
    rmsweep: Command, home: Path, tmp_path: Path
) -> None:
    workplace, (identity,) = trained(tmp_path, TrialState.PAUSED)
    store = workplace.store()
    assert isinstance(store, LocalStore)
    folder = store.root / f"trials/{identity}/checkpoints/step-40"
    folder.mkdir()
    left, written = folder / ".aside-1", folder / ".aside-2"
    for half in (left, written):
        half.write_bytes(b"half")
    os.utime(left, (0, time.time() - UNFINISHED_SECONDS - 60))

    shown = rmsweep("gc", "--json")
    deleted = rmsweep("gc", "--delete")

    assert json.loads(shown.out)["unfinished"] == [str(left)]
    assert "deleted 1 checkpoint and 1 half-written file" in deleted.out
    assert not left.exists()
    assert written.exists()
