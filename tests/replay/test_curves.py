"""Reading recorded curves: what is in them, and what is said of files that are wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from infra.errors import InputError, MissingError, SpecError
from sweep.replay.curves import load_curves
from sweep.replay.planning import plan_replay
from sweep.replay.replaying import replay_sweep
from sweep.replay.space import table_space
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import SweepSpec
from tests.replay.tables import random_table, spec_of

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"

CURVES = "config,fold,epoch,seconds,accuracy\n" + "".join(
    f"{config},{fold},{epoch},{10 * epoch},{0.1 * config + 0.01 * epoch + 0.001 * fold}\n"
    for config in (1, 2)
    for fold in (0, 1)
    for epoch in (2, 1, 3)
)
DESCRIPTION = """
curves: curves.csv
columns: {configuration: config, step: epoch, seconds: seconds, metric: accuracy, seed: fold}
"""


def write(folder: Path, description: str, *, curves: str = CURVES) -> Path:
    (folder / "curves.csv").write_text(curves)
    path = folder / "table.yaml"
    path.write_text(description)
    return path


def test_curves_are_read_by_configuration_and_seed_in_the_order_of_steps(tmp_path: Path) -> None:
    table = load_curves(write(tmp_path, DESCRIPTION))

    curve = table.curves["2"][1]

    assert list(curve.steps) == [1, 2, 3]
    assert list(curve.seconds) == [10, 20, 30]
    assert curve.value_at(2.5) == pytest.approx(0.221)
    assert curve.seconds_at(1.5) == 15
    assert curve.step_at(29) == 2
    best, value = table.best
    assert best == "2"
    assert value == pytest.approx(0.2305)
    assert table.total_seconds == 120


def test_configurations_are_joined_from_a_file_of_their_own(tmp_path: Path) -> None:
    rows = [
        {"config": config, "model": {"width": 8 * config, "act": "silu"}, "note": "same"}
        for config in (1, 2)
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    with gzip.open(tmp_path / "configs.jsonl.gz", "wt") as file:
        file.write(lines)
    (tmp_path / "configs.jsonl").write_text(lines)
    text = DESCRIPTION + "configurations: {file: configs.jsonl, key: config}\n"

    table = load_curves(write(tmp_path, text))

    assert table.axes == ("model.width",)
    assert table.configurations["2"] == {"model.width": 16}


def test_a_column_some_configurations_lack_is_still_a_range(tmp_path: Path) -> None:
    rates = {1: 0.1, 2: 0.4, 3: None}
    (tmp_path / "configs.jsonl").write_text(
        "\n".join(json.dumps({"config": name, "rate": rate}) for name, rate in rates.items())
    )
    curves = CURVES + "3,0,1,10,0.9\n3,1,1,10,0.9\n"
    text = DESCRIPTION + "configurations: {file: configs.jsonl, key: config}\n"
    table = load_curves(write(tmp_path, text, curves=curves))

    space = table_space(SweepSpec(name="made"), table)

    assert str(space.axes[0].domain) == "0.1 to 0.4"
    assert space.configuration({"rate": "0.15"}) == "1"
    assert space.configuration({"rate": "0.15"}, taken={"1", "2"}) == "3"


def test_a_search_none_of_whose_points_is_in_the_table_ends_without_a_result() -> None:
    table = random_table(4, seed=0)
    spec = spec_of(axes={"width": [77, 78]}, design={"kind": "tpe", "trials": 3})

    outcome = replay_sweep(plan_replay(spec, table), clock=SimulatedClock())

    assert outcome.configurations == 0
    assert outcome.state == "succeeded"
    assert outcome.regret is None


@pytest.mark.parametrize("baseline", ["", "c000"])
def test_a_drawn_design_takes_as_many_configurations_as_it_asks_for_beside_the_baseline(
    baseline: str,
) -> None:
    width = {"width": {"low": 0, "high": 9}}
    design = {"kind": "random", "points": 4}

    plan = plan_replay(spec_of(baseline=baseline, axes=width, design=design), random_table(10))

    drawn = [arm.name for arm in plan.arms if arm.name != "baseline"]
    assert len(drawn) == 4
    assert len(plan.arms) == 4 + bool(baseline)


def test_rows_can_be_chosen(tmp_path: Path) -> None:
    text = DESCRIPTION.replace(", seed: fold", "") + "where: {fold: 1}\n"

    table = load_curves(write(tmp_path, text))

    assert {name: list(seeds) for name, seeds in table.curves.items()} == {"1": [0], "2": [0]}


def test_every_column_that_is_not_there_is_named_with_the_nearest_that_is(tmp_path: Path) -> None:
    text = DESCRIPTION.replace("step: epoch", "step: epochs") + "axes: [fould]\n"

    with pytest.raises(SpecError) as caught:
        load_curves(write(tmp_path, text))

    message = str(caught.value)
    assert "no column 'epochs'" in message
    assert "'epoch'" in message
    assert "no column 'fould'" in message


@pytest.mark.parametrize(
    ("description", "curves", "error", "words"),
    [
        pytest.param("curves: none.csv\ncolumns: {configuration: a, metric: b}\n", CURVES,
                     MissingError, "none.csv", id="no such file"),
        pytest.param("curve: curves.csv\n", CURVES, SpecError, "curves", id="unknown key"),
        pytest.param(DESCRIPTION + "where: {config: 9}\n", CURVES, SpecError, "no row",
                     id="nothing left"),
        pytest.param(DESCRIPTION, CURVES.replace("0.11", "many"), InputError, "accuracy",
                     id="no number"),
        pytest.param(DESCRIPTION, "", InputError, "curves.csv", id="empty file"),
        pytest.param(DESCRIPTION, CURVES.replace("1,0,2,", "1,0,,"), InputError,
                     "whole numbers from 0 on in column 'epoch', came nan", id="no step"),
        pytest.param(DESCRIPTION, CURVES.replace("1,0,2,", "1,0,inf,"), InputError,
                     "'epoch', came inf", id="endless step"),
        pytest.param(DESCRIPTION, CURVES.replace("1,0,2,", "1,0,0.5,"), InputError,
                     "'epoch', came 0.5", id="half a step"),
        pytest.param(DESCRIPTION, CURVES.replace("1,0,2,20,", "1,0,2,,"), InputError,
                     "numbers in column 'seconds', came nan", id="no time"),
        pytest.param(DESCRIPTION, "config,fold,epoch,seconds,accuracy\n1,0,0,0,0.5\n", InputError,
                     "configuration '1' has no step after 0", id="no training"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused_with_the_reason(
    tmp_path: Path, description: str, curves: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        load_curves(write(tmp_path, description, curves=curves))


def test_the_shared_curves_can_be_read(tmp_path: Path) -> None:
    folder = SHARED / "algoperf-curves"
    if not folder.is_dir():
        pytest.skip("the shared AlgoPerf curves are not on this machine")
    path = tmp_path / "fastmri.yaml"
    path.write_text(
        f"curves: {folder.resolve()}/fastmri.csv.gz\n"
        "columns: {configuration: [submission, trial], seed: study, step: global_step,\n"
        "          seconds: submission_time_s, metric: val_metric}\n"
        f"configurations: {{file: {folder.resolve()}/trials.jsonl, key: trial_id}}\n"
        "where: {ruleset: external_tuning}\n"
    )

    table = load_curves(path)

    assert len(table.curves) == 55
    assert max(len(seeds) for seeds in table.curves.values()) == 5
    assert 0.7 < table.best[1] < 0.8
