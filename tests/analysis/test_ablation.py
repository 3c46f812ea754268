"""What is said of planted effects, and of sweeps in which something is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.ablation import ablate, best_arm
from analysis.outcomes import Outcomes
from analysis.report.words import unknowns
from analysis.report.writing import write_report
from analysis.slices import image_check, slice_table, slice_tables
from analysis.tables import read_sweep
from analysis.text_twins import text_twins
from infra.errors import InputError
from sweep.records.lifecycle import SweepState, TrialState
from sweep.spec.axis_spec import AxisSpec
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep, one_axis


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


def test_a_weakness_in_one_category_shows_there_and_nowhere_else(tmp_path: Path) -> None:
    arms = [
        *one_axis({"a": 1.0}),
        MadeArm(name="head=b", point={"head": "b"}, weak_at={"where": 1.5}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=800, seeds=5))
    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    table = slice_table(ablation.outcomes, ablation.baseline)

    assert table is not None
    assert table.slices == ("colour", "count", "shape", "where")
    assert table.cells["head=b", "where"].verdict == "worse in general"
    assert "in general" not in table.cells["head=b", "shape"].verdict
    value, low, high = table.macro["head=b"]
    assert low < value < high
    assert slice_table(ablation.outcomes, ablation.baseline, by="source") is None


def test_a_cut_that_another_one_makes_already_is_shown_once(tmp_path: Path) -> None:
    recipe = Recipe(arms=one_axis({"a": 1.0, "b": 0.6}), items=120, seeds=1, text_groups=20)
    made = make_sweep(tmp_path, recipe)
    outcomes = ablate(read_sweep(made.ledger, made.sweep_id)).outcomes

    tables = slice_tables(outcomes, "baseline", ("modality", "source", "category", "modality"))

    assert [table.by for table in tables] == ["modality", "category"]
    assert tables[0].slices == ("image", "text")


def test_slices_by_length_tell_where_the_better_response_is_the_longer(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.6}), items=120, seeds=2))
    outcomes = ablate(read_sweep(made.ledger, made.sweep_id)).outcomes

    table = slice_table(outcomes, "baseline", by="length")

    assert table is not None
    assert table.slices == ("better is shorter", "better is longer")  # lengths differ by one
    assert sum(table.pairs) == 120
    longer = outcomes.pairs["length_gap"].to_numpy() > 0
    shown = table.cells["head=b", "better is longer"].accuracy
    assert shown == pytest.approx(outcomes.of("head=b")[:, longer].mean())


def test_slices_by_the_labels_margin_are_thirds_in_order(tmp_path: Path) -> None:
    arms = one_axis({"a": 1.0, "b": 0.6})
    made = make_sweep(tmp_path, Recipe(arms=arms, items=120, seeds=2, label_margins=True))
    outcomes = ablate(read_sweep(made.ledger, made.sweep_id)).outcomes

    table = slice_table(outcomes, "baseline", by="margin")

    assert table is not None
    assert (table.slices, table.pairs) == (("up to 1", "1 to 2", "above 2"), (40, 40, 40))
    largest = outcomes.pairs["margin"].to_numpy() == 3
    shown = table.cells["head=b", "above 2"].accuracy
    assert shown == pytest.approx(outcomes.of("head=b")[:, largest].mean())


@pytest.mark.parametrize("margins", [[None] * 4, [2.0] * 4], ids=["no margins", "all alike"])
def test_margins_that_tell_nothing_apart_make_no_slices(margins: list[float | None]) -> None:
    outcomes = Outcomes(
        benchmark="test",
        trials=(("a", 0),),
        pairs=pd.DataFrame({"group_id": list("wxyz"), "margin": margins}),
        values=np.ones((1, 4)),
        convention="ties are wrong",
    )

    assert slice_table(outcomes, None, by="margin") is None


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


def test_shuffled_images_tell_what_the_text_alone_gives(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.1})))
    tables = read_sweep(made.ledger, made.sweep_id)

    check = image_check(tables, ablate(tables).outcomes)

    assert check is not None
    assert (check.shuffled, check.pairs) == ("test-blind", 400)
    for arm in check.arms:
        assert arm.blind.value < 0.65 < arm.seeing.value
        assert arm.drop is not None
        assert arm.drop.difference > 0.1


def test_an_arm_trained_on_text_alone_tells_what_training_on_images_brings(tmp_path: Path) -> None:
    both = {"scenes": 1.0, "text": 1.0}
    arms = [
        MadeArm(name="baseline", point={"data_mix": "both"}, trained_on=both),
        MadeArm(
            name="data_mix=text",
            point={"data_mix": "text"},
            trained_on={"text": 1.0},
            ability=0.1,
        ),
        MadeArm(name="data_mix=scenes", point={"data_mix": "scenes"}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, text_groups=50))
    tables = read_sweep(made.ledger, made.sweep_id)

    (twin,) = text_twins(tables, ablate(tables).outcomes, "baseline")

    assert (twin.arm, twin.pairs) == ("data_mix=text", 300)
    assert twin.gap is not None
    assert 0.1 < twin.gap.difference < 0.5
    assert text_twins(tables, ablate(tables).outcomes, "data_mix=text") == []
