"""A point settles into one config; axes whose condition fails stay at the baseline."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.findings import InvalidSettings
from search_spaces.axes import Axis, resolve_axis
from search_spaces.axis_levels import AxisRequest, Scalar
from search_spaces.condition_parser import parse_condition
from search_spaces.points import condition_findings, in_order
from search_spaces.settling import settle_point
from trainer.config import TrainerConfig
from trainer.identity import active_settings

BASELINE = TrainerConfig()


def axis(
    name: str,
    levels: Sequence[Scalar] | Mapping[str, Mapping[str, Any]],
    when: str | None = None,
) -> Axis:
    return resolve_axis(AxisRequest(name=name, levels=levels, when=when), BASELINE)


PARADIGM = axis("paradigm", ["scalar", "critic", "generative"])
LAYERS = axis("head.layers", [1, 2, 3])
ACTIVATION = axis("head.activation", ["none", "tanh", "silu"])
SCALE = axis("scale", ["xs", "s"])
AXES = (ACTIVATION, LAYERS, PARADIGM, SCALE)


def test_an_empty_point_is_the_baseline() -> None:
    settled = settle_point(BASELINE, AXES, {})

    assert settled.config == BASELINE
    assert settled.point == {}


def test_levels_are_applied_together() -> None:
    settled = settle_point(BASELINE, AXES, {"head.layers": "3", "scale": "xs"})

    assert settled.config.head.layers == 3
    assert settled.config.backbone.scale == "xs"
    assert settled.inactive == ()


def test_an_axis_whose_condition_fails_leaves_the_baseline_alone() -> None:
    settled = settle_point(BASELINE, AXES, {"head.activation": "tanh", "head.layers": "1"})

    assert settled.config.head.activation == BASELINE.head.activation
    assert settled.point == {"head.layers": "1"}
    assert settled.inactive == ("head.activation",)


def test_conditions_see_axes_that_come_later_in_the_file() -> None:
    settled = settle_point(
        BASELINE, AXES, {"head.activation": "tanh", "head.layers": "3", "paradigm": "generative"}
    )

    assert settled.point == {"paradigm": "generative"}
    assert set(settled.inactive) == {"head.activation", "head.layers"}


def test_a_condition_may_ask_for_the_level_of_an_axis() -> None:
    dropout = axis("head.dropout", [0, 0.1], when="scale == 'xs'")

    small = settle_point(BASELINE, (dropout, SCALE), {"head.dropout": "0.1", "scale": "xs"})
    large = settle_point(BASELINE, (dropout, SCALE), {"head.dropout": "0.1", "scale": "s"})

    assert small.config.head.dropout == 0.1
    assert large.config.head.dropout == 0


def test_conditions_that_wait_for_each_other_are_refused() -> None:
    first = axis("head.dropout", [0, 0.1], when="strategy.weight_decay > 0")
    second = axis("strategy.weight_decay", [0, 0.1], when="head.dropout > 0")

    with pytest.raises(InvalidSettings, match="wait for each other"):
        in_order([first, second])


def test_a_backbone_that_does_not_exist_is_refused() -> None:
    family = axis("backbone.family", ["tiny-qwen2.5-vl", "qwen2.5-vl"])

    with pytest.raises(InvalidSettings, match=r"qwen2\.5-vl.*Known: 3b, 7b"):
        settle_point(BASELINE, (family,), {"backbone.family": "qwen2.5-vl"})


def test_settings_that_clash_only_together_are_refused() -> None:
    batch = axis("strategy.batch_pairs", [64, 63])
    machine = axis("gang", {"two": {"machine.workers": 2, "head.layers": 3}})

    with pytest.raises(InvalidSettings, match=r"must be a multiple of machine\.workers"):
        settle_point(BASELINE, (batch, machine), {"strategy.batch_pairs": "63", "gang": "two"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("head.layer > 1", "unknown setting or axis 'head.layer'; did you mean 'head.layers'?"),
        ("scal == 'xs'", "unknown setting or axis 'scal'; did you mean 'scale'?"),
        ("head", "unknown setting or axis 'head'"),
        ("head.activation == 'slu'", "it is never == the text 'slu'; did you mean 'silu'?"),
        ("head.activation in ['silu', 'tahn']", "did you mean 'tanh'?"),
        ("scale == 'm'", "scale is one of xs, s, baseline"),
        ("scale > 1", "it is never > the number 1"),
        ("head.layers == 'two'", "head.layers is a number; it cannot be compared (==)"),
        ("strategy.use_margin > 1", "strategy.use_margin is true or false"),
        ("backbone.path > 'a'", "backbone.path is text; it cannot be compared (>)"),
    ],
)
def test_a_condition_that_compares_what_cannot_be_says_why(text: str, message: str) -> None:
    levels = {"scale": ["xs", "s"], "paradigm": ["scalar"]}

    findings = condition_findings(parse_condition(text), levels)

    assert len(findings) == 1
    assert message in findings[0].message


@pytest.mark.parametrize(
    "text",
    [
        "head.layers >= 2",
        "scale == 'xs' and head.activation != 'silu'",
        "backbone.path == null",
        "strategy.use_margin or strategy.freeze.vision == false",
        "data.weights.digits > 0",
        "scale == 'baseline'",
        "head.layers == strategy.batch_pairs",
    ],
)
def test_a_condition_that_makes_sense_has_no_findings(text: str) -> None:
    assert condition_findings(parse_condition(text), {"scale": ["xs", "s"]}) == []


LEVELS = {axis.name: [level.name for level in axis.levels] for axis in AXES}


@given(
    point=st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in LEVELS.items()}),
    order=st.permutations(AXES),
)
@settings(deadline=None, max_examples=100)
def test_the_order_of_the_file_does_not_change_what_is_trained(
    point: dict[str, str], order: list[Axis]
) -> None:
    settled = settle_point(BASELINE, AXES, point)

    again = settle_point(BASELINE, order, point)

    assert again.config == settled.config
    assert dict(again.point) == dict(settled.point)


def test_points_that_differ_only_in_inactive_axes_are_one_training() -> None:
    trainings = {
        str(
            active_settings(
                settle_point(BASELINE, AXES, dict(zip(LEVELS, levels, strict=True))).config
            )
        )
        for levels in itertools.product(*LEVELS.values())
    }

    # Per scale: generative 1; scalar and critic each 1 linear head and 2 depths x 3 activations.
    assert len(trainings) == 2 * (1 + 2 * (1 + 2 * 3))
