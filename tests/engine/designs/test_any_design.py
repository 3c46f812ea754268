"""Whatever valid sweep is drawn, its plan is what counting its points by hand says."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.engine.designs.drawn_sweeps import (
    BASELINE,
    LOOK,
    Varied,
    assert_is_of,
    at,
    grid,
    of_arm,
    planned,
    trained,
    varied_axes,
)


@LOOK
@given(axes=varied_axes(), seeds=st.integers(1, 3), where=st.data())
def test_a_grid_has_every_training_no_rule_forbids_and_each_once(
    axes: list[Varied], seeds: int, where: st.DataObject
) -> None:
    # A set's levels have names of the product's own; the others may be left out by name.
    named = [axis for axis in axes if axis.name != "tricks"]
    left_out = where.draw(
        st.fixed_dictionaries({axis.name: st.sampled_from(sorted(axis.levels)) for axis in named})
        | st.none()
    )
    points = [at(axes, point) for point in grid(axes)]
    kept = [
        (here, matter)
        for here, matter in points
        if left_out is None or any(matter.get(name) != level for name, level in left_out.items())
    ]
    broken = left_out is not None and all(
        BASELINE.items() >= axis.levels[left_out[axis.name]].items() for axis in named
    )
    assume(not broken)
    assume(all(any(axis.name in matter for _, matter in kept) for axis in axes))
    exclude = []
    if left_out is not None:
        values = {axis.name: axis.levels[left_out[axis.name]] for axis in named}
        exclude = [{name: v.get(name, left_out[name]) for name, v in values.items()}]

    plan = planned(axes, {"kind": "grid"}, exclude=exclude, replicates={"seeds": seeds})

    assert_is_of(plan, {trained(here) for here, _ in kept}, seeds=seeds)
    assert plan.design.left_out == len(points) - len(kept)
    again = planned(axes, {"kind": "grid"}, exclude=exclude, replicates={"seeds": seeds})
    assert [trial.identity for trial in again.trials] == [trial.identity for trial in plan.trials]
    assert again.sweep_id == plan.sweep_id


@LOOK
@given(axes=varied_axes(), seeds=st.integers(1, 3))
def test_one_factor_moves_every_axis_alone(axes: list[Varied], seeds: int) -> None:
    sets = {axis.name for axis in axes if axis.name == "tricks"}
    kind = "add_one_in" if sets else "one_factor"
    moves = [
        (axis, {axis.name: level})
        for axis in axes
        for level, change in axis.levels.items()
        if axis.name not in sets or "+" not in level
    ]

    plan = planned(axes, {"kind": kind}, replicates={"seeds": seeds})

    alone = {trained(at(axes, point)[0]) for _, point in moves}
    assert_is_of(plan, alone | {trained(BASELINE)}, seeds=seeds)
    assert plan.arms[0].name == "baseline"
    for arm in plan.arms[1:]:
        (axis,) = [each for each in axes if each.name == arm.axis]
        assert of_arm(arm) in {trained(at([axis], {axis.name: lv})[0]) for lv in axis.levels}


@LOOK
@given(axes=varied_axes(), where=st.data(), seed=st.integers(0, 5))
def test_a_random_design_draws_as_many_trainings_of_the_grid_as_it_is_asked_for(
    axes: list[Varied], where: st.DataObject, seed: int
) -> None:
    there = {trained(at(axes, point)[0]) for point in grid(axes)} - {trained(BASELINE)}
    points = where.draw(st.integers(1, len(there)))
    design = {"kind": "random", "points": points, "seed": seed}

    plan = planned(axes, design, replicates={"seeds": 1})

    drawn = {of_arm(arm) for arm in plan.arms}
    assert_is_of(plan, drawn, seeds=1)
    assert len(drawn - {trained(BASELINE)}) == points
    assert drawn <= there | {trained(BASELINE)}
    assert [arm.name for arm in planned(axes, design, replicates={"seeds": 1}).arms] == [
        arm.name for arm in plan.arms
    ]
