"""What a real MLflow shows of a sweep: few params, few charts, settings as files."""

from __future__ import annotations

import pytest
import yaml

from infra.object_store import LocalStore
from infra.tracking import Tracker
from sweep.records.ledger import Ledger
from sweep.records.publishing import publish
from tests.records.head_sweep import SWEEP, folder_of, register_head, run_trial, runs
from tests.records.rows import identity_of

pytest.importorskip("mlflow")


def test_settings_are_files_beside_the_runs(
    ledger: Ledger, tracker: Tracker, store: LocalStore
) -> None:
    register_head(ledger, store)
    run_trial(ledger, 0, 0.5, store)

    publish(ledger, tracker, SWEEP)

    found = runs(tracker)
    trial = folder_of(found[f"{SWEEP}/trial/{identity_of(0)}"])
    settings = yaml.safe_load((trial / "config.yaml").read_text())
    assert settings["strategy"]["learning_rate"]
    assert yaml.safe_load((folder_of(found[SWEEP]) / "sweep.yaml").read_text())["name"] == "head"


def test_an_arms_charts_are_few_and_slices_stand_apart(
    ledger: Ledger, tracker: Tracker, store: LocalStore
) -> None:
    register_head(ledger, store)
    for number, accuracy in enumerate((0.5, 0.7)):
        more = {
            "eval/validation/accuracy_category_count": 0.4,
            "eval/validation/pairs_category_count": 10.0,
            "eval/validation/accuracy_source_scenes": 0.6,
            "eval/validation/pairs_source_scenes": 30.0,
            "eval/validation/pairs": 50.0,
        }
        run_trial(ledger, number, accuracy, store, more)

    publish(ledger, tracker, SWEEP)

    arm = runs(tracker)[f"{SWEEP}/arm/baseline"]
    shown = [name for name in arm.data.metrics if name.startswith(("eval/", "slices/"))]
    assert sorted(shown) == [
        "eval/validation/accuracy",
        "eval/validation/accuracy.std",
        "eval/validation/pairs",
        "slices/validation/category/count",
        "slices/validation/category_pairs/count",
        "slices/validation/source/scenes",
        "slices/validation/source_pairs/scenes",
    ]


def test_an_axis_that_is_off_has_a_level_too(
    ledger: Ledger, tracker: Tracker, store: LocalStore
) -> None:
    axes = {"head.layers": [1, 3], "head.activation": ["none", "tanh"]}
    register_head(ledger, store, axes=axes)
    run_trial(ledger, 0, 0.5, store)

    publish(ledger, tracker, SWEEP)

    arm = runs(tracker)[f"{SWEEP}/arm/baseline"]
    assert arm.data.params == {"head.layers": "1", "head.activation": "-"}
