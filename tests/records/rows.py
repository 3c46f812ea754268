"""Rows and messages the ledger's tests write."""

from __future__ import annotations

from typing import Any

from sweep.records.ledger import Ledger
from sweep.records.rows import ArmRow, Holder, TrialRow
from trainer.reporting import CheckpointReference, TrialOutcome, TrialReport

TTL = 60.0


def identity_of(number: int) -> str:
    return f"{number:064x}"


def trial_rows(count: int, *, first: int = 0) -> list[TrialRow]:
    return [
        TrialRow(
            identity=identity_of(number),
            arm=f"arm-{number // 2}",
            seed=number % 2,
            config_json={"seed": number % 2, "head": {"layers": number // 2}},
        )
        for number in range(first, first + count)
    ]


def register(
    ledger: Ledger,
    sweep_id: str = "head-1a2b3c4d",
    count: int = 4,
    trials: list[TrialRow] | None = None,
    **other: Any,  # noqa: ANN401 -- any argument of register_sweep
) -> bool:
    rows = trials or trial_rows(count)
    arms = [ArmRow(name=name, axis="head.layers") for name in dict.fromkeys(r.arm for r in rows)]
    values: dict[str, Any] = {
        "spec_json": {"name": "head"},
        "tracking_uri": "sqlite:///m.db",
        "storage": "file:/store",
    }
    name = sweep_id.rpartition("-")[0]
    return ledger.register_sweep(sweep_id, name, arms=arms, trials=rows, **(values | other))


def stranger(name: str = "stranger") -> Holder:
    """A driver on a machine whose processes cannot be seen from here."""
    return Holder(driver=name, pid=4711, host="elsewhere", machine="elsewhere/boot/pid")


def report(
    step: int,
    metrics: dict[str, float] | None = None,
    checkpoint: CheckpointReference | None = None,
) -> TrialReport:
    return TrialReport(
        step=step,
        fraction=step / 100,
        seconds=float(step),
        metrics=metrics or {},
        checkpoint=checkpoint,
    )


def checkpoint(step: int) -> CheckpointReference:
    return CheckpointReference(step=step, manifest_sha256=f"{step:064x}")


def outcome(step: int = 100, model_digest: str | None = "m" * 64) -> TrialOutcome:
    return TrialOutcome(
        finished=model_digest is not None,
        step=step,
        fraction=step / 100,
        seconds=50.0,
        metrics={"eval/validation/accuracy": 0.75},
        model_digest=model_digest,
    )
