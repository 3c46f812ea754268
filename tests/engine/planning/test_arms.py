"""Designs as points, and points as distinct trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import SpecError
from search_spaces.axes import Axis, resolve_axis
from search_spaces.axis_levels import AxisRequest, Scalar
from search_spaces.levels import Level
from sweep.engine.designs.points import make_design
from sweep.engine.planning.arms import Arm, make_arms
from sweep.spec.design_spec import DesignSpec, GridDesign, OneFactorDesign
from tests.engine.known_digests import KnownDigests
from trainer.config import TrainerConfig
from trainer.head_config import HeadConfig
from trainer.identity import active_settings

BASELINE = TrainerConfig()


def axis(
    name: str,
    levels: Sequence[Scalar] | Mapping[str, Mapping[str, Any]],
    when: str | None = None,
    baseline: TrainerConfig = BASELINE,
) -> Axis:
    return resolve_axis(AxisRequest(name=name, levels=levels, when=when), baseline)


def arms_of(
    design: DesignSpec, *axes: Axis, baseline: TrainerConfig = BASELINE
) -> Mapping[str, Arm]:
    designed = make_arms(design, baseline=baseline, axes=axes, digests=KnownDigests())
    return {arm.name: arm for arm in designed.arms}


SCALE = axis("scale", {"xs": {"backbone.scale": "xs"}, "s": {"backbone.scale": "s"}})
LAYERS = axis("head.layers", [1, 2, 3])
ACTIVATION = axis("head.activation", ["none", "tanh", "silu"], "head.layers >= 2")


def test_one_factor_is_the_baseline_and_every_other_level_alone() -> None:
    arms = arms_of(OneFactorDesign(), LAYERS, ACTIVATION, SCALE)

    assert list(arms) == [
        "baseline",
        "head.layers=1",
        "head.layers=3",
        "head.activation=none",
        "head.activation=tanh",
        "scale=xs",
    ]
    assert arms["scale=xs"].config == BASELINE.model_copy(
        update={"backbone": BASELINE.backbone.model_copy(update={"scale": "xs"})}
    )
    assert (arms["scale=xs"].axis, arms["scale=xs"].level) == ("scale", "xs")
    assert (arms["baseline"].axis, arms["baseline"].level) == (None, None)


def test_an_arm_has_a_level_of_every_axis_that_is_active() -> None:
    arms = arms_of(OneFactorDesign(), LAYERS, ACTIVATION, SCALE)

    assert arms["baseline"].point == {"head.layers": "2", "head.activation": "silu", "scale": "s"}
    assert arms["head.layers=1"].point == {"head.layers": "1", "scale": "s"}


def test_a_grid_trains_points_that_differ_only_in_an_inactive_axis_once() -> None:
    arms = arms_of(GridDesign(), LAYERS, ACTIVATION, SCALE)

    # 18 points, but a one-layer head has no activation: 2 instead of 6 of them.
    assert len(arms) == 14
    assert next(iter(arms)) == "baseline"
    assert "head.layers=1, scale=xs" in arms
    assert "head.layers=3, head.activation=tanh, scale=xs" in arms


def test_a_baseline_without_a_level_of_its_own_is_an_arm_of_one_factor_only() -> None:
    layers = axis("head.layers", [1, 3])

    assert list(arms_of(OneFactorDesign(), layers)) == [
        "baseline",
        "head.layers=1",
        "head.layers=3",
    ]
    assert list(arms_of(GridDesign(), layers)) == ["head.layers=1", "head.layers=3"]
    assert arms_of(OneFactorDesign(), layers)["baseline"].point == {"head.layers": "baseline"}


def test_without_axes_the_baseline_is_the_only_arm() -> None:
    assert list(arms_of(GridDesign())) == ["baseline"]
    assert list(arms_of(OneFactorDesign())) == ["baseline"]


def test_an_axis_whose_condition_never_holds_is_refused() -> None:
    flat = BASELINE.model_copy(update={"head": HeadConfig(layers=1)})
    activation = axis("head.activation", ["none", "tanh", "silu"], "head.layers >= 2", flat)

    with pytest.raises(SpecError, match=r"axes\.head\.activation: the axis never matters"):
        arms_of(OneFactorDesign(), activation, baseline=flat)


def test_a_grid_that_is_too_large_is_refused_before_it_is_enumerated() -> None:
    levels = tuple(Level(name=str(index), patch={}) for index in range(1000))
    axes = [Axis(name=name, levels=levels) for name in "abcdef"]

    with pytest.raises(SpecError, match=r"has 1,000,000,000,000,000,000 points, at most 100,000"):
        make_arms(GridDesign(), baseline=BASELINE, axes=axes, digests=KnownDigests())


def test_a_grid_over_an_axis_without_levels_is_refused() -> None:
    with pytest.raises(SpecError, match="give empty a level"):
        arms_of(GridDesign(), Axis(name="empty", levels=()))


def test_levels_that_contradict_each_other_are_named_with_their_point() -> None:
    workers = axis("data_size", {"a": {"machine.workers": 2}, "b": {"data.pairs": 64}})
    batch = axis("strategy.batch_pairs", [64, 31])

    with pytest.raises(SpecError, match=r"data_size=a, strategy\.batch_pairs=31 is no valid arm"):
        arms_of(GridDesign(), workers, batch)


def test_machine_settings_make_no_arm_of_their_own() -> None:
    fast = {"slow": {"data.pairs": 128}, "fast": {"data.pairs": 128, "machine.threads": 2}}
    axis_ = Axis(
        name="speed", levels=tuple(Level(name=name, patch=patch) for name, patch in fast.items())
    )

    with pytest.raises(SpecError, match="all train the same weights"):
        arms_of(GridDesign(), axis_)


def test_a_long_name_is_cut_and_stays_unique() -> None:
    axes = [
        Axis(
            name=f"axis{number}",
            levels=tuple(Level(name=f"{'x' * 90}{level}", patch={path: level}) for level in (1, 2)),
        )
        for number, path in enumerate(["head.layers", "critic.max_critique_tokens", "data.seed"])
    ]
    axes[1] = axis("strategy.epochs", [1, 2])

    arms = arms_of(GridDesign(), *axes)

    assert all(len(name) <= 240 for name in arms)
    assert len(arms) == 8


@given(sizes=st.lists(st.integers(1, 4), min_size=0, max_size=4))
def test_a_design_has_as_many_points_as_it_counts(sizes: list[int]) -> None:
    axes = [
        Axis(
            name=f"axis{number}",
            levels=tuple(
                Level(name=str(level), patch={}, is_baseline=level == 0) for level in range(size)
            ),
        )
        for number, size in enumerate(sizes)
    ]

    counts = {"grid": math.prod(sizes), "one_factor": 1 + sum(size - 1 for size in sizes)}
    for spec in (GridDesign(), OneFactorDesign()):
        points = [tuple(sorted(point.items())) for point in make_design(spec, axes).points()]
        assert len(points) == len(set(points)) == counts[spec.kind]


@settings(max_examples=20, deadline=None)
@given(
    layers=st.sets(st.integers(1, 5), min_size=2),
    activations=st.sets(st.sampled_from(["none", "tanh", "silu", "gelu"]), min_size=2),
    rates=st.sets(st.sampled_from([1e-4, 3e-4, 1e-3, 3e-3]), min_size=2),
    grid=st.booleans(),
)
def test_arms_are_distinct_trainings_and_no_point_is_lost(
    layers: set[int], activations: set[str], rates: set[float], grid: bool
) -> None:
    axes = [
        axis("head.layers", sorted(layers)),
        axis("head.activation", sorted(activations), "head.layers >= 2"),
        axis("strategy.learning_rate", sorted(rates)),
    ]

    arms = list(arms_of(GridDesign() if grid else OneFactorDesign(), *axes).values())

    trained = [str(active_settings(arm.config)) for arm in arms]
    assert len(set(trained)) == len(trained)
    if grid:
        deep = sum(number > 1 for number in layers)
        assert len(arms) == (deep * len(activations) + (1 in layers)) * len(rates)
