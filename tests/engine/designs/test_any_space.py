"""Fractions, sets, ranges, mixtures, sub-spaces, rules and stages of any valid sweep."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import SpecError
from sweep.engine.growing.staging import StageGrowth
from tests.engine.designs.drawn_sweeps import (
    BASELINE,
    LOOK,
    TRICKS,
    Change,
    Varied,
    assert_is_of,
    at,
    grid,
    of_arm,
    planned,
    trained,
    varied_axes,
)

SETTINGS: dict[str, list[Any]] = {
    "head.layers": [2, 3, 4],
    "strategy.learning_rate": [1e-4, 1e-3, 1e-2],
    "strategy.weight_decay": [0.0, 0.1],
    "strategy.zero_coefficient": [0.0, 0.01, 0.1],
    "strategy.label_smoothing": [0.0, 0.1],
    "strategy.length_normalization": [False, True],
    "backbone.scale": ["s", "xs"],
}
"""Settings that matter wherever the others stand, the baseline's value first."""


def of_settings(name: str, count: int) -> Varied:
    levels = SETTINGS[name][:count]
    return Varied(name=name, written=levels, levels={str(level): {name: level} for level in levels})


@st.composite
def independent_axes(draw: st.DrawFn, *, most: int) -> list[Varied]:
    """Axes that all matter everywhere, of two or three levels."""
    names = draw(
        st.lists(st.sampled_from(sorted(SETTINGS)), min_size=2, max_size=most, unique=True)
    )
    return [of_settings(name, draw(st.integers(2, len(SETTINGS[name])))) for name in names]


@LOOK
@given(axes=independent_axes(most=6), resolution=st.integers(3, 5))
def test_a_fraction_has_all_combinations_of_as_many_axes_as_it_keeps_apart_equally_often(
    axes: list[Varied], resolution: int
) -> None:
    try:
        plan = planned(axes, {"kind": "fractional", "resolution": resolution})
    except SpecError as error:
        assert "no fraction of resolution" in str(error)  # noqa: PT017 -- most are planned
        return

    whole = {trained(at(axes, point)[0]) for point in grid(axes)}
    arms = [of_arm(arm) for arm in plan.arms]
    assert len(set(arms)) == len(arms)
    assert set(arms) <= whole
    reached = plan.design.resolution
    is_whole = len(arms) == len(whole)
    assert is_whole or (reached is not None and reached >= resolution)
    points = [dict(arm) for arm in arms]
    for some in itertools.combinations(
        [axis.name for axis in axes], min(len(axes), resolution - 1)
    ):
        seen = Counter(tuple(each[name] for name in some) for each in points)
        assert len(set(seen.values())) == 1
        assert len(seen) == math.prod(len(axis.levels) for axis in axes if axis.name in some)


@LOOK
@given(
    others=independent_axes(most=3),
    names=st.lists(st.sampled_from(sorted(TRICKS)), min_size=2, unique=True),
    kept=st.integers(0, 1),
)
def test_leave_one_out_takes_every_free_member_away_alone_and_moves_the_other_axes_beside_all(
    others: list[Varied], names: list[str], kept: int
) -> None:
    touched = {path for name in names for path in TRICKS[name]}
    others = [axis for axis in others if axis.name not in touched]
    always = names[:kept]
    written = {"members": {name: TRICKS[name] for name in names}, "always": always}
    axes = [*others, Varied(name="tricks", written=written, levels={})]

    plan = planned(axes, {"kind": "leave_one_out"}, replicates={"seeds": 2})

    def with_(members: Sequence[str], change: Change | None = None) -> frozenset[tuple[str, Any]]:
        inside = {path: value for name in members for path, value in TRICKS[name].items()}
        return trained({**BASELINE, **inside, **(change or {})})

    expected = {with_(names)}
    for gone in names[kept:]:
        expected.add(with_([name for name in names if name != gone]))
    expected |= {with_(names, change) for axis in others for change in axis.levels.values()}
    assert_is_of(plan, expected, seeds=2)


@settings(LOOK, max_examples=8)  # a hypercube is drawn by ten thousand exchanges
@given(
    points=st.integers(2, 7),
    seed=st.integers(0, 5),
    low=st.floats(1e-5, 5e-4),
    high=st.floats(1e-3, 0.1),
    width=st.floats(0.01, 0.4),
)
def test_every_range_of_a_latin_hypercube_has_one_point_in_each_of_its_strips(
    points: int, seed: int, low: float, high: float, width: float
) -> None:
    ranges = {
        "strategy.learning_rate": {"low": low, "high": high, "log": True},
        "strategy.label_smoothing": {"low": 0.0, "high": width},
    }
    axes = [Varied(name=name, written=written, levels={}) for name, written in ranges.items()]
    design = {"kind": "latin_hypercube", "points": points, "seed": seed, "with_baseline": False}

    plan = planned(axes, design)

    assert len(plan.arms) == points
    rates = sorted(arm.config.strategy.learning_rate for arm in plan.arms)
    smooth = sorted(arm.config.strategy.label_smoothing for arm in plan.arms)
    for index, (rate, share) in enumerate(zip(rates, smooth, strict=True)):
        # Values have four digits: at an edge one may be written as the next strip's.
        place = points * math.log(rate / low) / math.log(high / low)
        assert index - 0.01 <= place <= index + 1.01
        assert index - 0.01 <= points * share / width <= index + 1.01


@LOOK
@given(
    parts=st.lists(
        st.sampled_from(["scenes", "digits", "text"]), min_size=2, max_size=3, unique=True
    ),
    least=st.sampled_from([0.0, 0.05, 0.2]),
    steps=st.integers(1, 6),
    points=st.integers(1, 12),
)
def test_the_shares_of_every_mixture_are_a_whole_and_none_is_less_than_the_least(
    parts: list[str], least: float, steps: int, points: int
) -> None:
    asked = {"mixture": parts, "least": least}
    listed = [Varied(name="data_mix", written=asked | {"steps": steps}, levels={})]
    drawn = [Varied(name="data_mix", written=asked, levels={})]

    even = {"data.weights": dict.fromkeys(parts, 1.0)}  # a baseline within the axis
    some = {"kind": "random", "points": points, "with_baseline": False}

    lattice = planned(listed, {"kind": "grid"}, set=even)
    sample = planned(drawn, some, set=even)

    assert len(lattice.arms) == math.comb(steps + len(parts) - 1, len(parts) - 1)
    assert len(sample.arms) in (points, points + 1)  # the even one may be drawn as well
    for arm in (*lattice.arms, *sample.arms):
        weights = arm.config.data.weights
        assert set(weights) <= set(parts)
        assert sum(weights.values()) == pytest.approx(1.0, abs=1e-9)
        assert all(weights.get(part, 0.0) >= least - 1e-3 for part in parts)
    together = [str(sorted(arm.config.data.weights.items())) for arm in lattice.arms]
    assert len(set(together)) == len(together)


@LOOK
@given(
    axes=independent_axes(most=3),
    inner=st.lists(st.sampled_from([0.0, 0.01, 0.1, 0.2]), min_size=2, max_size=3, unique=True),
)
def test_the_axes_of_a_sub_space_vary_at_its_level_alone(
    axes: list[Varied], inner: list[float]
) -> None:
    axes = [axis for axis in axes if axis.name not in ("strategy.label_smoothing", "head.layers")]
    within = {"3": {"strategy.label_smoothing": inner}}
    depth = {"levels": [2, 3], "within": within}

    plan = planned([*axes, Varied(name="head.layers", written=depth, levels={})], {"kind": "grid"})

    expected = set()
    for point in grid(axes):
        here, _ = at(axes, point)
        expected.add(trained({**here, "head.layers": 2}))
        for value in inner:
            deep = {"head.layers": 3, "strategy.label_smoothing": value}
            expected.add(trained({**here, **deep}))
    assert_is_of(plan, expected, seeds=plan.spec.replicates.seeds)


@LOOK
@given(
    axes=independent_axes(most=4), where=st.data(), kind=st.sampled_from(["one_factor", "random"])
)
def test_no_design_trains_what_a_rule_forbids(
    axes: list[Varied], where: st.DataObject, kind: str
) -> None:
    forbidden = where.draw(
        st.fixed_dictionaries(
            {axis.name: st.sampled_from(sorted(axis.levels)) for axis in axes[:2]}
        )
        | st.fixed_dictionaries({axes[0].name: st.sampled_from(sorted(axes[0].levels)[1:])})
    )
    values = {a.name: a.levels[forbidden[a.name]][a.name] for a in axes if a.name in forbidden}

    def allowed(here: Mapping[str, Any]) -> bool:
        return not here.items() >= values.items()

    if not allowed(BASELINE):
        with pytest.raises(SpecError, match="the baseline itself breaks this rule"):
            planned(axes, {"kind": kind}, exclude=[values])
        return
    there = {
        trained(here) for point in grid(axes) for here in [at(axes, point)[0]] if allowed(here)
    }
    alone = {
        trained(here)
        for axis in axes
        for level in axis.levels
        for here in [at(axes, {axis.name: level})[0]]
        if allowed(here)
    }
    rest = len(there - {trained(BASELINE)})
    design = {"kind": kind} if kind == "one_factor" else {"kind": kind, "points": rest}

    plan = planned(axes, design, exclude=[values])

    expected = alone | {trained(BASELINE)} if kind == "one_factor" else there | {trained(BASELINE)}
    assert_is_of(plan, expected, seeds=plan.spec.replicates.seeds)


STAGE_DESIGNS = st.sampled_from(
    [{"kind": "grid"}, {"kind": "one_factor"}, {"kind": "random", "points": 1, "seed": 3}]
)


@LOOK
@given(axes=varied_axes(), where=st.data(), designs=st.tuples(STAGE_DESIGNS, STAGE_DESIGNS))
def test_every_stage_trains_from_one_baseline_what_a_sweep_of_its_own_would(
    axes: list[Varied], where: st.DataObject, designs: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    cut = where.draw(st.integers(1, len(axes)))
    parts = [part for part in (axes[:cut], axes[cut:]) if part]
    stages: list[dict[str, Any]] = [
        {"name": f"s{number}", "axes": [axis.name for axis in part], "design": design}
        for number, (part, design) in enumerate(zip(parts, designs, strict=False))
    ]

    plan = planned(axes, {"kind": "staged", "stages": stages})

    assert isinstance(plan.growth, StageGrowth)
    # What a stage starts from competes in it, whatever its design lists.
    together = planned(axes, {"kind": "one_factor"})
    start = {trial.identity for trial in together.trials if trial.arm == "baseline"}
    alone = [
        {trial.identity for trial in planned(part, stage["design"]).trials} | start
        for part, stage in zip(parts, stages, strict=True)
    ]
    for number, expected in enumerate(alone):
        grown = [trial.identity for trial in plan.growth.stage_trials(number, {})]
        assert set(grown) == expected
    first = {trial.identity for trial in plan.trials}
    assert first | start == alone[0]
    assert {each.trial.identity for each in plan.later} == set().union(*alone) - first
