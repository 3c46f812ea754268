"""A small sweep in the ledger, to be published, and its runs as MLflow shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.object_store import LocalStore
from infra.provenance import take_provenance
from infra.tracking import Tracker
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import ArmRow, TrialRow
from tests.records.rows import TTL, identity_of, outcome, report, stranger
from trainer.config import TrainerConfig
from trainer.record import AttemptRecord, TrialRecord, record_key

SWEEP = "head-1a2b3c4d"


def runs(tracker: Tracker) -> dict[str, Any]:
    """All runs of the tracker's experiment by key."""
    client, experiment = tracker._client, tracker._experiment  # type: ignore[attr-defined]
    found = client.search_runs([experiment], max_results=1000)
    keys = [run.data.tags["sweep.key"] for run in found]
    assert len(keys) == len(set(keys))
    return dict(zip(keys, found, strict=True))


def folder_of(run: Any) -> Path:  # noqa: ANN401
    """Where a run's attached files lie."""
    return Path(run.info.artifact_uri.removeprefix("file:"))


def history(tracker: Tracker, run: Any, name: str) -> list[tuple[int, float]]:  # noqa: ANN401
    client = tracker._client  # type: ignore[attr-defined]
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]


def register_head(
    ledger: Ledger,
    store: LocalStore,
    sweep_id: str = SWEEP,
    *,
    axes: Mapping[str, Any] | None = None,
) -> None:
    config = TrainerConfig().model_dump(mode="json")
    arms = [
        ArmRow(name="baseline", point={"head.layers": "1"}),
        ArmRow(name="head.layers=3", axis="head.layers", level="3", point={"head.layers": "3"}),
    ]
    trials = [
        TrialRow(identity=identity_of(2 * n + seed), arm=arm.name, seed=seed, config_json=config)
        for n, arm in enumerate(arms)
        for seed in (0, 1)
    ]
    ledger.register_sweep(
        sweep_id,
        "head",
        {"name": "head", "question": "Does depth help?", "axes": axes or {"head.layers": [1, 3]}},
        arms=arms,
        trials=trials,
        tracking_uri=f"sqlite:///{store.root}/m.db",
        storage=store.uri,
    )


def run_trial(
    ledger: Ledger,
    number: int,
    accuracy: float,
    store: LocalStore,
    more: Mapping[str, float] | None = None,
) -> None:
    attempt = ledger.claim(identity_of(number), SWEEP, stranger(), TTL)
    assert attempt is not None
    identity = attempt.identity
    record = TrialRecord(
        identity=identity,
        config=TrainerConfig(),
        data_digests={"scenes": "d" * 64},
        benchmark_digests={"validation": "e" * 64},
        backbone_digest="b" * 64,
        attempts=[AttemptRecord(provenance=take_provenance())],
    )
    store.write(record_key(identity), record.model_dump_json().encode())
    for step in (10, 20):
        ledger.record_report(attempt.attempt_id, report(step, {"train/loss": 1 / step}))
    end = outcome().model_copy(
        update={"metrics": {"eval/validation/accuracy": accuracy, **(more or {})}}
    )
    ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, end, device_seconds=9.0)
