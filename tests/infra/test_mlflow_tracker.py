"""Runs in a real MLflow database; what a sweep looks like there is in test_publishing."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import InputError, StoreError
from infra.tracking import MetricPoint, NullTracker, RunFacts, Tracker

pytest.importorskip("mlflow")


@pytest.fixture
def tracker(mlflow_uri: str, tmp_path: Path) -> Tracker:
    from infra.mlflow_tracker import MlflowTracker

    return MlflowTracker(mlflow_uri, tmp_path.name, str(tmp_path / "artifacts"))


def test_long_and_odd_names_and_values_fit(tracker: Tracker) -> None:
    run = tracker.ensure_run(
        RunFacts(
            key="long",
            name="long",
            tags={"sweep.error": "x" * 20_000},
            params={f"mix[{number}]": "y" * 9_000 for number in range(150)},
        )
    )

    tracker.log_metrics(run, [MetricPoint("eval/a[b]=c", 1.0, 1, 1.0)] * 2)
    tracker.log_metrics(run, [MetricPoint("m", 1.0, step, 1.0) for step in range(1500)])
    tracker.log_dataset(run, "scenes", "d" * 64, "training")

    data = tracker._client.get_run(run).data  # type: ignore[attr-defined]
    assert len(data.params) == 150
    assert data.params["mix_0_"].endswith("y...")
    assert data.tags["sweep.error"].endswith("x...")
    assert data.metrics["eval/a_b__c"] == 1.0
    assert data.metrics["m"] == 1.0


def test_a_param_is_set_once_and_tags_are_renewed(mlflow_uri: str, tmp_path: Path) -> None:
    from infra.mlflow_tracker import MlflowTracker

    first = MlflowTracker(mlflow_uri, tmp_path.name)
    run = first.ensure_run(RunFacts(key="k", name="n", tags={"a": "1"}, params={"p": "1"}))

    again = MlflowTracker(mlflow_uri, tmp_path.name)
    facts = RunFacts(key="k", name="n", tags={"a": "2"}, params={"p": "2", "q": "2"})

    assert again.ensure_run(facts) == run
    data = again._client.get_run(run).data
    assert (data.params, data.tags["a"]) == ({"p": "1", "q": "2"}, "2")


def test_a_run_deleted_by_hand_is_made_anew(tracker: Tracker) -> None:
    first = tracker.ensure_run(RunFacts(key="k", name="n"))
    tracker._client.delete_run(first)  # type: ignore[attr-defined]

    with pytest.raises((StoreError, InputError), match="active"):
        tracker.set_tags(first, {"a": "1"})

    assert tracker.ensure_run(RunFacts(key="k", name="n")) != first


def test_a_deleted_experiment_is_named(mlflow_uri: str, tmp_path: Path, tracker: Tracker) -> None:
    from infra.mlflow_tracker import MlflowTracker

    tracker._client.delete_experiment(tracker._experiment)  # type: ignore[attr-defined]

    with pytest.raises(StoreError, match="is deleted; restore it there"):
        MlflowTracker(mlflow_uri, tmp_path.name)


@pytest.mark.parametrize("uri", ["file:/tmp/mlruns", "mlruns"])
def test_a_plain_folder_is_refused(uri: str) -> None:
    from infra.mlflow_tracker import MlflowTracker

    with pytest.raises(InputError, match="or a database such as"):
        MlflowTracker(uri, "any")


def test_nowhere_is_a_tracker_too() -> None:
    nowhere: Tracker = NullTracker()

    run = nowhere.ensure_run(RunFacts(key="k", name="n"))
    nowhere.preload("k")
    nowhere.log_metrics(run, [])
    nowhere.set_tags(run, {})
    nowhere.log_dataset(run, "d", "0", "training")
    nowhere.log_artifact(run, "a", b"")
    nowhere.set_status(run, "FINISHED", 1.0)

    assert run == "k"
