"""Arms may be called anything; MLflow's filters find the run of each, and of no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.mlflow_names import quoted
from infra.object_store import LocalStore
from infra.tracking import RunFacts, Tracker
from sweep.records.ledger import Ledger
from sweep.records.projection import arm_key
from sweep.records.publishing import publish
from sweep.records.rows import ArmRow, TrialRow
from tests.records.head_sweep import SWEEP, run_trial, runs
from tests.records.rows import identity_of
from trainer.config import TrainerConfig

pytest.importorskip("mlflow")

HOSTILE = [
    "it's",
    "it_s",
    "it%27s",
    "' OR tags.`sweep.key` LIKE '%",
    "x' AND 'a' = 'a",
    "`back`ticks",
    'double "quotes"',
    "100%",
    "100_",
    "a; DROP TABLE runs; --",
    "back\\slash",
    "two\nlines",
    "(brackets",
    "naïve 模型 🚀",
    "NULL",
]


def publish_arms(ledger: Ledger, tracker: Tracker, store: LocalStore, levels: list[str]) -> None:
    config = TrainerConfig().model_dump(mode="json")
    names = ["baseline", *(f"scale={level}" for level in levels)]
    ledger.register_sweep(
        SWEEP,
        "head",
        {"name": "head", "axes": {"scale": levels}},
        arms=[ArmRow(name=name, axis="scale", level=name) for name in names],
        trials=[
            TrialRow(identity=identity_of(number), arm=name, seed=0, config_json=config)
            for number, name in enumerate(names)
        ],
        tracking_uri=f"sqlite:///{store.root}/m.db",
        storage=store.uri,
    )
    for number in range(len(names)):
        run_trial(ledger, number, 0.5, store)
    publish(ledger, tracker, SWEEP)


def test_every_arm_of_a_hostile_name_has_a_run_of_its_own_also_after_a_restart(
    ledger: Ledger, tracker: Tracker, store: LocalStore, mlflow_uri: str, tmp_path: Path
) -> None:
    from infra.mlflow_tracker import MlflowTracker

    publish_arms(ledger, tracker, store, HOSTILE)
    first = {key: run.info.run_id for key, run in runs(tracker).items()}
    again = MlflowTracker(mlflow_uri, f"experiment {tmp_path.name}")
    found = {
        level: again.ensure_run(RunFacts(key=arm_key(SWEEP, f"scale={level}"), name="again"))
        for level in HOSTILE
    }

    assert len(first) == 1 + 2 * (1 + len(HOSTILE))  # the sweep; an arm and a trial of each
    assert len(set(found.values())) == len(HOSTILE)
    assert set(found.values()) < set(first.values())
    shown = {run.info.run_id: run.data.tags["mlflow.runName"] for run in runs(again).values()}
    assert {level: shown[run] for level, run in found.items()} == {
        level: f"scale={level}" for level in HOSTILE
    }


@given(st.lists(st.text(alphabet="'_%27a", max_size=6), min_size=2, max_size=2, unique=True))
def test_keys_of_two_arms_differ_and_fit_between_quotes(names: list[str]) -> None:
    first, second = (arm_key(SWEEP, name) for name in names)

    assert first != second
    assert quoted(first) == first


@pytest.mark.parametrize("name", HOSTILE)
def test_an_experiment_may_be_called_that(mlflow_uri: str, tmp_path: Path, name: str) -> None:
    from infra.mlflow_tracker import MlflowTracker

    called = f"{tmp_path.name} {name}"
    run = MlflowTracker(mlflow_uri, called).ensure_run(RunFacts(key="k", name="n"))

    assert MlflowTracker(mlflow_uri, called).ensure_run(RunFacts(key="k", name="n")) == run
