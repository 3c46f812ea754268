"""Sweeps one can conclude little or nothing from, through every verb that concludes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from sweep.records.lifecycle import SweepState, TrialState
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep, one_axis
from tests.cli.conftest import Command
from trainer.scores import read_scores, score_key, write_scores

TWO = {"a": 1.0, "b": 0.6}
Spoil = Callable[[pa.Table], pa.Table]


def _spoil(made: MadeSweep, spoil: Spoil, *, seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Change the score tables of some seeds as they lie in the store."""
    for trial in made.ledger.trials(made.sweep_id):
        for benchmark in ("validation", "test") if trial.seed in seeds else ():
            key = score_key(trial.identity, benchmark)
            if made.store.exists(key):
                made.store.write(key, write_scores(spoil(read_scores(made.store.read(key)))))


def _with(table: pa.Table, name: str, values: Sequence[float]) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, pa.array(values, table.schema.field(name).type))


def _no_numbers(table: pa.Table) -> pa.Table:
    return _with(table, "score", [math.nan] * len(table))


def _ties(table: pa.Table) -> pa.Table:
    return _with(table, "score", [0.0] * len(table))


def _twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 20)])


def _others(table: pa.Table) -> pa.Table:
    return table.slice(40)


def _every(end: TrialState) -> list[MadeArm]:
    ends = dict.fromkeys(range(3), end)
    return [
        MadeArm(name="baseline", point={"head": "a"}, ends=ends),
        MadeArm(name="head=b", point={"head": "b"}, ends=ends),
    ]


def _one_arm(home: Path) -> MadeSweep:
    return make_sweep(home, Recipe(arms=one_axis({"a": 1.0}), items=60))


def _one_seed(home: Path) -> MadeSweep:
    return make_sweep(home, Recipe(arms=one_axis(TWO), items=60, seeds=1))


def _one_model(home: Path) -> MadeSweep:
    return make_sweep(home, Recipe(arms=one_axis({"a": 1.0}), items=60, seeds=1))


def _all_failed(home: Path) -> MadeSweep:
    arms = _every(TrialState.FAILED)
    return make_sweep(home, Recipe(arms=arms, items=60, finish=SweepState.FAILED))


def _not_begun(home: Path) -> MadeSweep:
    return make_sweep(home, Recipe(arms=_every(TrialState.PENDING), items=60, finish=None))


def _still_running(home: Path) -> MadeSweep:
    arms = [
        MadeArm(name="baseline", point={"head": "a"}, ends={2: TrialState.PENDING}),
        MadeArm(name="head=b", point={"head": "b"}, ends={1: TrialState.RUNNING}),
    ]
    return make_sweep(home, Recipe(arms=arms, items=60, finish=None))


def _spoilt(spoil: Spoil, *, seeds: tuple[int, ...] = (0, 1, 2)) -> Callable[[Path], MadeSweep]:
    def make(home: Path) -> MadeSweep:
        made = make_sweep(home, Recipe(arms=one_axis(TWO), items=60))
        _spoil(made, spoil, seeds=seeds)
        return made

    return make


def _files_gone(home: Path) -> MadeSweep:
    made = make_sweep(home, Recipe(arms=one_axis(TWO), items=60))
    for trial in made.ledger.trials(made.sweep_id):
        for key in made.store.keys(f"trials/{trial.identity}/"):
            made.store.delete(key)
    return made


TOO_FEW = "an ensemble needs at least 2 trained models scored on the same items"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "refused"),
    [
        pytest.param(_one_arm, "", id="one arm"),
        pytest.param(_one_seed, "", id="one seed"),
        pytest.param(_one_model, f"{TOO_FEW}, there is 1", id="one model"),
        pytest.param(_all_failed, f"{TOO_FEW}, there are 0", id="all failed"),
        pytest.param(_not_begun, f"{TOO_FEW}, there are 0", id="not begun"),
        pytest.param(_still_running, "", id="still running"),
        pytest.param(
            _spoilt(_no_numbers), "none of its validation scores is a number", id="all NaN"
        ),
        pytest.param(_spoilt(_no_numbers, seeds=(1,)), "", id="one seed NaN"),
        pytest.param(_spoilt(_ties), "gives every validation response the same", id="all ties"),
        pytest.param(_spoilt(_twice), "", id="duplicate items"),
        pytest.param(_spoilt(_others, seeds=(2,)), "", id="other items"),
        pytest.param(_files_gone, "its model is no longer in", id="files gone"),
    ],
)
def test_every_verb_says_what_it_can_and_no_more(
    rmsweep: Command,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], MadeSweep],
    refused: str,
) -> None:
    monkeypatch.chdir(tmp_path)  # made sweeps are shown in an MLflow of the current folder
    home.mkdir()
    sweep = make(home).sweep_id
    page, ensemble = tmp_path / "report.html", tmp_path / "ensemble.json"

    reported = rmsweep("report", sweep, "--out", str(page), "--format", "all")
    averaged = rmsweep("ensemble", sweep, "--out", str(ensemble))
    looks = [
        rmsweep("status", sweep),
        rmsweep("status", sweep, "--watch"),
        rmsweep("show", sweep),
        rmsweep("show", sweep, "--json"),
    ]

    assert reported.code == 0, reported.err
    assert all(page.with_suffix(form).stat().st_size < 1_000_000 for form in (".html", ".md"))
    assert averaged.code == (2 if refused else 0), averaged.err
    assert refused in averaged.err
    assert ensemble.exists() is not bool(refused)
    assert [look.code for look in looks] == [0] * 4
    for answer in (reported, averaged, *looks[:3]):
        assert "Traceback" not in answer.out + answer.err
        assert len(answer.out + answer.err) < 20_000


@pytest.mark.parametrize("verb", ["report", "ensemble"])
def test_a_damaged_score_file_is_named(rmsweep: Command, home: Path, verb: str) -> None:
    home.mkdir()
    made = make_sweep(home, Recipe(arms=one_axis(TWO), items=20, seeds=1))
    key = score_key(made.ledger.trials(made.sweep_id)[0].identity, "test")
    made.store.write(key, b"no parquet")

    answer = rmsweep(verb, made.sweep_id)

    assert answer.code == 2
    assert f"{key}: not a score table, or a damaged one" in answer.err
    assert "Traceback" not in answer.err
