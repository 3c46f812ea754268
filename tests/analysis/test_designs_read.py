"""Factorial effects, importance, the Pareto front and sanity checks of recorded sweeps."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analysis.ablation import ablate
from analysis.factorial import factorial
from analysis.importance import importance
from analysis.outcomes import Outcomes
from analysis.pareto import pareto
from analysis.sanity import check_sanity, resampled
from analysis.tables import SweepTables, read_sweep
from infra.object_store import LocalStore
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep, one_axis
from trainer.scores import read_scores, score_key, write_scores


def _sweep(tmp_path: Path, recipe: Recipe) -> SweepTables:
    made = make_sweep(tmp_path, recipe)
    return read_sweep(made.ledger, made.sweep_id)


def _grid(*, together: float = 0.0, half: bool = False) -> list[MadeArm]:
    """Three axes of two levels; a helps, and a and b do more `together`. A half has c = a b."""
    arms = []
    for a, b, c in itertools.product((0, 1), repeat=3):
        if half and c != a ^ b:
            continue
        name = "baseline" if not a + b + c else f"cell{a + 2 * b + 4 * c}"
        ability = 0.5 + 0.4 * a + together * a * b
        arms.append(
            MadeArm(name=name, point={"a": str(a), "b": str(b), "c": str(c)}, ability=ability)
        )
    return arms


def test_a_factorial_finds_the_axis_that_helps_and_the_pair_that_does_more(
    tmp_path: Path,
) -> None:
    recipe = Recipe(arms=_grid(together=0.5), items=400, seeds=3, seed_noise=0.02)
    tables = _sweep(tmp_path, recipe)

    found = factorial(tables, ablate(tables).outcomes)

    assert found is not None
    by_name = {term.name: term for term in found.terms}
    assert list(by_name) == ["a", "b", "c", "a x b", "a x c", "b x c"]
    for name in ("a", "a x b"):
        assert (by_name[name].p_value or 1.0) < 0.01
    for name in ("c", "a x c", "b x c"):
        assert (by_name[name].p_value or 0.0) > 0.05
    assert by_name["a"].share > by_name["a x b"].share > by_name["c"].share
    assert found.not_estimable == found.aliases == ()
    assert found.residual_degrees == 24 - 1 - 2 - 6
    assert "24 trials, 3 seeds as blocks, 400 pairs" in found.basis


def test_a_half_fraction_says_what_it_cannot_tell_apart(tmp_path: Path) -> None:
    tables = _sweep(tmp_path, Recipe(arms=_grid(half=True), items=100, seeds=2))
    whole = ablate(tables).outcomes

    # Every pair is another axis' alias: nothing but single axes can be estimated.
    assert factorial(tables, whole) is None


def test_a_term_beyond_the_points_is_listed_with_its_aliases(tmp_path: Path) -> None:
    arms = [arm for arm in _grid() if arm.name not in {"cell7", "cell6"}]
    tables = _sweep(tmp_path, Recipe(arms=arms, items=100, seeds=2))

    found = factorial(tables, ablate(tables).outcomes)

    assert found is not None
    assert found.not_estimable == ("b x c",)
    assert any("b x c" in line for line in found.aliases)


def test_one_factor_at_a_time_has_no_interactions(tmp_path: Path) -> None:
    arms = [
        MadeArm(name="baseline", point={"a": "0", "b": "0"}),
        MadeArm(name="a=1", point={"a": "1", "b": "0"}),
        MadeArm(name="b=1", point={"a": "0", "b": "1"}),
    ]
    tables = _sweep(tmp_path, Recipe(arms=arms, items=60, seeds=2))

    assert factorial(tables, ablate(tables).outcomes) is None


def test_the_axis_that_decides_is_the_most_important_and_above_chance(tmp_path: Path) -> None:
    arms = [
        MadeArm(name=f"a={a}, b={b}", point={"a": str(a), "b": str(b)}, ability=0.3 + 0.5 * a)
        for a in range(4)
        for b in range(4)
    ]
    tables = _sweep(tmp_path, Recipe(arms=arms, items=20, seeds=1, seed_noise=0.01))

    found = importance(tables)

    assert found is not None
    assert [axis.axis for axis in found.axes] == ["a", "b"]
    assert found.axes[0].above_chance
    assert not found.axes[1].above_chance
    assert (
        found.basis == "16 arms, mean accuracy over seeds on validation; results shuffled 39 times"
    )


def test_many_numbers_are_a_range_and_the_one_that_decides_comes_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arms = [
        MadeArm(
            name=f"point{number:02d}",
            point={"rate": f"{10**rate:.3g}", "other": f"{other:.3g}"},
            ability=0.2 + 0.5 * (rate + 6) if number else 0.2,
        )
        for number, (rate, other) in enumerate(
            zip(rng.uniform(-6, -2, 24), rng.uniform(0, 1, 24), strict=True)
        )
    ]
    tables = _sweep(tmp_path, Recipe(arms=arms, items=20, seeds=1, seed_noise=0.01))

    found = importance(tables)

    assert found is not None
    assert found.axes[0].axis == "rate"
    assert found.axes[0].above_chance


def test_importance_is_not_asked_where_one_thing_varies_at_a_time(tmp_path: Path) -> None:
    arms = [MadeArm(name="baseline", point={"a": "0", "b": "0"})]
    arms += [MadeArm(name=f"a{n}", point={"a": str(n), "b": "0"}) for n in range(1, 6)]
    arms += [MadeArm(name=f"b{n}", point={"a": "0", "b": str(n)}) for n in range(1, 6)]

    assert importance(_sweep(tmp_path, Recipe(arms=arms, items=20, seeds=1))) is None


def test_importance_is_not_asked_of_few_arms(tmp_path: Path) -> None:
    tables = _sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.5}), items=20, seeds=1))

    assert importance(tables) is None


def test_the_front_holds_what_nothing_beats_in_both(tmp_path: Path) -> None:
    tables = _sweep(
        tmp_path, Recipe(arms=one_axis({"a": 0.6, "b": 1.2, "c": 0.2}), items=200, seeds=2)
    )
    views = tuple(
        replace(
            view, device_seconds={"baseline": 100.0, "head=b": 300.0, "head=c": 200.0}[view.arm]
        )
        for view in tables.trial_views
    )

    found = pareto(replace(tables, trial_views=views), ablate(tables).arms)

    assert [(arm.arm, arm.on_front, arm.beaten_by) for arm in found] == [
        ("baseline", True, None),
        ("head=c", False, "baseline"),
        ("head=b", True, None),
    ]
    assert found[0].usd == pytest.approx(100 / 3600 * 2.5)


def test_temperatures_are_fitted_on_validation_and_confidence_is_judged_on_test(
    tmp_path: Path,
) -> None:
    arms = [*one_axis({"a": 1.0}), MadeArm(name="head=b", point={"head": "b"}, scale=40.0)]
    tables = _sweep(tmp_path, Recipe(arms=arms, items=400, seeds=2))

    found = check_sanity(tables, ablate(tables).outcomes)

    ours, loud = found.calibration
    assert loud.raw.ece > 0.15  # its unit alone makes it look too sure
    assert loud.scaled is not None
    assert ours.scaled is not None
    assert loud.scaled.ece < 0.08
    assert loud.scaled.nll == pytest.approx(ours.scaled.nll, abs=0.1)
    assert loud.temperatures[0] == pytest.approx(40 * ours.temperatures[0], rel=0.35)


def test_a_model_below_chance_says_one_half_and_is_wrong_by_as_much_as_it_is(
    tmp_path: Path,
) -> None:
    recipe = Recipe(arms=one_axis({"a": 1.0, "b": -0.8}), items=400, seeds=2)
    tables = _sweep(tmp_path, recipe)
    outcomes = ablate(tables).outcomes

    _, below = check_sanity(tables, outcomes).calibration

    assert set(below.temperatures) == {math.inf}
    assert below.scaled is not None
    assert below.scaled.ece == pytest.approx(0.5 - outcomes.of("head=b").mean(), abs=1e-6)
    assert below.scaled.nll == pytest.approx(math.log(2))


def test_differences_are_tested_without_a_formula_too(tmp_path: Path) -> None:
    arms = one_axis({"a": 1.0, "b": 0.3, "c": 1.0, "d": 1.1, "e": 1.2})
    tables = _sweep(tmp_path, Recipe(arms=arms, items=200, seeds=6))

    worse, *others = check_sanity(tables, ablate(tables).outcomes).resampled

    assert [each.arm for each in (worse, *others)] == ["head=b", "head=c", "head=d"]
    assert worse.groups.p_value is not None
    assert worse.groups.p_value < 0.01
    assert worse.seeds.p_value == pytest.approx(2 / 2**6)
    assert worse.comparison.fixed is not None
    assert worse.bootstrap.low == pytest.approx(worse.comparison.fixed.low, abs=0.02)


def test_arms_without_a_seed_or_a_pair_in_common_are_not_resampled() -> None:
    values = np.array([[1.0, 0.0, np.nan], [np.nan, np.nan, 1.0], [1.0, 1.0, 1.0]])
    outcomes = Outcomes(
        benchmark="test",
        trials=(("baseline", 0), ("no pair", 0), ("no seed", 1)),
        pairs=pd.DataFrame({"group_id": list("xyz")}),
        values=values,
        convention="ties are wrong",
    )

    assert not list(resampled(["baseline", "no pair", "no seed"], "baseline", outcomes))


def test_a_fair_model_has_no_length_bias_and_no_warning(tmp_path: Path) -> None:
    tables = _sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=400, seeds=2))

    found = check_sanity(tables, ablate(tables).outcomes)

    (bias,) = found.length
    assert bias.excess.general is not None
    assert bias.excess.general.low < 0 < bias.excess.general.high
    assert 0.4 < bias.longer_better < 0.6
    assert found.position == ()
    assert found.warnings == ()


def test_arms_that_are_right_on_the_very_same_pairs_are_suspect(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), items=60, seeds=1))
    ours, theirs = read_sweep(made.ledger, made.sweep_id).succeeded()
    store = LocalStore(tmp_path / "store")
    for name in ("test", "validation"):
        key = f"trials/{{}}/scores/{name}.parquet".format
        store.write(key(theirs.identity), store.read(key(ours.identity)))
    tables = read_sweep(made.ledger, made.sweep_id)

    (warning,) = check_sanity(tables, ablate(tables).outcomes).warnings

    assert "baseline and head=b are right on the very same pairs" in warning


def test_a_response_that_is_scored_twice_is_counted_once_and_said(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=60, seeds=1))
    (trial,) = read_sweep(made.ledger, made.sweep_id).succeeded()
    key = score_key(trial.identity, "test")
    table = read_scores(made.store.read(key))
    made.store.write(key, write_scores(pa.concat_tables([table, table.slice(0, 3)])))
    tables = read_sweep(made.ledger, made.sweep_id)
    outcomes = ablate(tables).outcomes

    (warning,) = check_sanity(tables, outcomes).warnings

    assert warning.startswith("3 rows on test, such as of item test-00000, score a response")
    assert len(outcomes.pairs) == 60


def test_a_sweep_without_any_result_has_nothing_to_check(tmp_path: Path) -> None:
    from sweep.records.lifecycle import TrialState

    failed = dict.fromkeys(range(3), TrialState.FAILED)
    arms = [MadeArm(name="baseline", point={"a": "0"}, ends=failed)]
    tables = _sweep(tmp_path, Recipe(arms=arms))
    ablation = ablate(tables)

    assert check_sanity(tables, ablation.outcomes).warnings == ()
    assert factorial(tables, ablation.outcomes) is None
    assert importance(tables) is None
    assert pareto(tables, ablation.arms) == ()
    assert np.shape(ablation.outcomes.values)[0] == 0
