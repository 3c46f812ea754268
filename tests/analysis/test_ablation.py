"""What is said of planted effects, and of sweeps in which something is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.ablation import ablate, best_arm
from analysis.report.words import unknowns
from analysis.report.writing import write_report
from analysis.tables import read_sweep
from infra.errors import InputError
from sweep.records.lifecycle import SweepState, TrialState
from sweep.spec.axis_spec import AxisSpec
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep, one_axis
from trainer.scores import read_scores, score_key, write_scores


def test_planted_effects_are_found_and_equal_levels_are_not_told_apart(tmp_path: Path) -> None:
    levels = {"2-silu": 1.0, "linear": 0.5, "2-none": 1.0, "3-silu": 1.6}
    axes = {"head": AxisSpec(levels=list(levels), question="Which head?")}
    made = make_sweep(tmp_path, Recipe(arms=one_axis(levels), axes=axes, seeds=5, items=600))

    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    (axis,) = ablation.axes
    verdicts = {effect.name: effect.verdict.text for effect in axis.levels if effect.verdict}
    assert verdicts["head=linear"] == "worse in general"
    assert verdicts["head=3-silu"] == "better in general"
    assert verdicts["head=2-none"] != "better in general"
    assert (axis.question, axis.reference) == ("Which head?", "2-silu")
    assert ablation.best == "head=3-silu"
    assert axis.levels[0].reference == "head=2-silu"
    assert ablation.seed_noise is not None
    assert ablation.seed_noise.degrees == 16


def test_p_values_are_corrected_together(tmp_path: Path) -> None:
    levels = {"a": 1.0, "b": 0.9, "c": 0.9, "d": 0.9, "e": 0.9}
    made = make_sweep(tmp_path, Recipe(arms=one_axis(levels), items=200))

    (axis,) = ablate(read_sweep(made.ledger, made.sweep_id)).axes

    for effect in axis.levels:
        assert effect.comparison is not None
        assert effect.comparison.fixed is not None
        assert effect.verdict is not None
        assert effect.verdict.fixed_p is not None
        assert effect.verdict.fixed_p >= effect.comparison.fixed.p_value


def test_levels_of_a_grid_are_compared_with_the_other_axes_equal(tmp_path: Path) -> None:
    arms = [
        MadeArm(name="baseline", point={"scale": "s", "head": "1"}, ability=0.6),
        MadeArm(name="scale=s, head=2", point={"scale": "s", "head": "2"}, ability=1.2),
        MadeArm(name="scale=m, head=1", point={"scale": "m", "head": "1"}, ability=0.6),
        MadeArm(name="scale=m, head=2", point={"scale": "m", "head": "2"}, ability=1.2),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=300))

    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    effects = {effect.name: effect for axis in ablation.axes for effect in axis.levels}
    assert effects["head=2"].arm_pairs == (
        ("scale=s, head=2", "baseline"),
        ("scale=m, head=2", "scale=m, head=1"),
    )
    assert effects["head=2"].verdict is not None
    assert effects["head=2"].verdict.text == "better in general"
    assert effects["scale=m"].verdict is not None
    assert effects["scale=m"].verdict.text != "better in general"


def _grid(ends: dict[tuple[str, str], dict[int, TrialState]]) -> list[MadeArm]:
    """Two heads at three scales; the better head is 2."""
    return [
        MadeArm(
            name="baseline" if (scale, head) == ("s", "1") else f"scale={scale}, head={head}",
            point={"scale": scale, "head": head},
            ability={"1": 0.6, "2": 1.4}[head],
            ends=ends.get((scale, head), {}),
        )
        for scale in ("s", "m", "l")
        for head in ("1", "2")
    ]


def test_a_level_says_on_how_many_of_the_designs_pairs_of_arms_it_rests(tmp_path: Path) -> None:
    stopped = dict.fromkeys(range(3), TrialState.STOPPED_EARLY)
    made = make_sweep(tmp_path, Recipe(arms=_grid({("l", "2"): stopped}), items=200))

    tables = read_sweep(made.ledger, made.sweep_id)
    ablation = ablate(tables)

    (effect,) = next(axis.levels for axis in ablation.axes if axis.axis == "head")
    assert effect.arm_pairs == (
        ("scale=s, head=2", "baseline"),
        ("scale=m, head=2", "scale=m, head=1"),
    )
    assert effect.left_out == 1
    said = " ".join(unknowns(tables, ablation))
    assert "leave out pairs of arms that the design has" in said
    assert "those that are left were kept for doing well" in said


def test_a_failed_trial_of_two_arms_costs_their_pairs_and_not_the_levels_test(
    tmp_path: Path,
) -> None:
    failed = {("s", "2"): {0: TrialState.FAILED}, ("m", "2"): {1: TrialState.FAILED}}
    made = make_sweep(tmp_path, Recipe(arms=_grid(failed), items=200, seeds=2))

    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    (effect,) = next(axis.levels for axis in ablation.axes if axis.axis == "head")
    assert effect.comparison is not None
    assert effect.comparison.seeds == 2
    assert effect.arm_pairs == (("scale=l, head=2", "scale=l, head=1"),)
    assert effect.left_out == 2


def test_an_axis_that_does_not_matter_for_an_arm_stands_at_the_baselines_level(
    tmp_path: Path,
) -> None:
    arms = [
        MadeArm(name="baseline", point={"layers": "2", "act": "silu"}),
        MadeArm(name="layers=1", point={"layers": "1"}),
        MadeArm(name="act=tanh", point={"layers": "2", "act": "tanh"}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=100))

    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    pairs = {effect.name: effect.arm_pairs for axis in ablation.axes for effect in axis.levels}
    assert pairs == {
        "layers=1": (("layers=1", "baseline"),),
        "act=tanh": (("act=tanh", "baseline"),),
    }


def test_arms_without_scores_are_listed_with_the_reason(tmp_path: Path) -> None:
    failed = dict.fromkeys(range(3), TrialState.FAILED)
    arms = [
        *one_axis({"a": 1.0, "b": 0.9}),
        MadeArm(name="head=c", point={"head": "c"}, ends=failed),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=100))

    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    effect = ablation.axes[0].levels[1]
    assert effect.comparison is None
    assert effect.sentence == "head=c: no comparison, no scores of head=c (3 failed)."
    assert ablation.arm("head=c").accuracy is None
    assert ablation.arm("head=c").standing == "3 failed"


@pytest.mark.parametrize("end", [TrialState.FAILED, TrialState.PENDING])
def test_a_sweep_without_a_single_result_still_has_an_ablation(
    tmp_path: Path, end: TrialState
) -> None:
    ends = dict.fromkeys(range(3), end)
    arms = [
        MadeArm(name="baseline", point={"head": "a"}, ends=ends),
        MadeArm(name="head=b", point={"head": "b"}, ends=ends),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, finish=SweepState.FAILED))

    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    assert ablation.best is None
    assert ablation.seed_noise is None
    assert "no comparison" in ablation.axes[0].levels[0].sentence


def test_one_lucky_seed_is_not_chosen_over_arms_with_all_of_theirs(tmp_path: Path) -> None:
    lucky = {1: TrialState.FAILED, 2: TrialState.FAILED}
    arms = [
        *one_axis({"a": 1.0, "b": 1.5}),
        MadeArm(name="head=c", point={"head": "c"}, ability=3.0, ends=lucky),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=200))

    assert best_arm(read_sweep(made.ledger, made.sweep_id)) == "head=b"


def test_where_less_is_better_the_lowest_objective_comes_first(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.2, "c": 1.6}), items=80))
    tables = read_sweep(made.ledger, made.sweep_id)
    upwards = ablate(tables).ranked
    objective = {"benchmark": "validation", "metric": "accuracy", "mode": "min"}
    spec = {**tables.sweep.spec_json, "objective": objective}

    downwards = ablate(replace(tables, sweep=replace(tables.sweep, spec_json=spec)))

    assert upwards == ("head=c", "baseline", "head=b")
    assert downwards.ranked == upwards[::-1]
    assert downwards.best == "head=b"


def test_stopped_trials_are_listed_and_in_no_test(tmp_path: Path) -> None:
    arms = [
        *one_axis({"a": 1.0, "b": 1.0}),
        MadeArm(name="head=c", point={"head": "c"}, ends={1: TrialState.STOPPED_EARLY}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=100))

    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    (censored,) = ablation.censored
    assert (censored.arm, censored.seeds, censored.fraction) == ("head=c", (1,), 0.4)
    assert ablation.arm("head=c").seeds == (0, 2)


def test_a_test_benchmark_that_shares_groups_with_validation_is_refused(tmp_path: Path) -> None:
    recipe = Recipe(arms=one_axis({"a": 1.0, "b": 1.1}), items=100, seeds=2, leaked_groups=7)
    made = make_sweep(tmp_path, recipe)

    with pytest.raises(
        InputError,
        match=r"7 of 50 item groups of test benchmark 'test' \(validation-scene-00000, .*"
        r"in validation benchmark 'validation' too.*rmsweep evaluate",
    ):
        ablate(read_sweep(made.ledger, made.sweep_id))
    with pytest.raises(InputError, match="7 of 50 item groups"):
        write_report(made.ledger, made.store, [made.sweep_id], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_arms_of_unequal_numbers_of_seeds_are_compared_on_those_they_share(tmp_path: Path) -> None:
    left_early = dict.fromkeys(range(2, 5), TrialState.PENDING)
    arms = [
        *one_axis({"a": 1.0, "b": 1.0}),
        MadeArm(name="head=c", point={"head": "c"}, ability=0.6, ends=left_early),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=100, seeds=5))
    tables = read_sweep(made.ledger, made.sweep_id)

    ablation = ablate(tables)

    held = {effect.name: effect.comparison for effect in ablation.axes[0].levels}
    assert [held[f"head={level}"].seeds for level in "bc"] == [5, 2]  # type: ignore[union-attr]
    assert ablation.arm("baseline").seeds == (0, 1, 2, 3, 4)
    said = [line for line in unknowns(tables, ablation) if "unequal" in line]
    assert said == [
        "Arms have unequal numbers of seeds: 1 of 2 comparisons rest on the seeds that both sides "
        "have, not on all of either."
    ]


def test_an_arm_whose_seeds_were_scored_on_other_items_each_stops_no_report(
    tmp_path: Path,
) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.6}), items=40, seeds=2))
    moved = next(
        view for view in made.ledger.trials(made.sweep_id) if (view.arm, view.seed) == ("head=b", 1)
    )
    key = score_key(moved.identity, "test")
    table = read_scores(made.store.read(key))
    for name in ("item_id", "group_id"):
        renamed = pa.array([f"other-{held}" for held in table[name].to_pylist()])
        table = table.set_column(table.column_names.index(name), table.schema.field(name), renamed)
    made.store.write(key, write_scores(table))

    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    assert ablation.arm("head=b").accuracy is None
    assert ablation.arm("baseline").accuracy is not None
