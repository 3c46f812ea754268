"""An axis of a sweep file becomes levels with patches, or says what is wrong with which level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from infra.errors import MissingError
from infra.findings import InvalidSettings
from search_spaces.axes import Axis, axis_row, resolve_axis
from search_spaces.axis_levels import AxisRequest, Scalar
from search_spaces.catalog import AXES, axis_rows, level_rows, shipped_axis
from search_spaces.levels import trains_the_same, value_name
from search_spaces.patches import apply_patch
from trainer.config import TrainerConfig

BASELINE = TrainerConfig()
Levels = Sequence[Scalar] | Mapping[str, Mapping[str, Any]]


def axis(
    name: str, levels: Levels, *, when: str | None = None, baseline: TrainerConfig = BASELINE
) -> Axis:
    return resolve_axis(AxisRequest(name=name, levels=levels, when=when, location=()), baseline)


def problems(
    name: str, levels: Levels, *, when: str | None = None, baseline: TrainerConfig = BASELINE
) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        axis(name, levels, when=when, baseline=baseline)
    return [str(problem) for problem in caught.value.problems]


def test_values_of_a_setting_are_levels_and_the_baselines_own_is_marked() -> None:
    depth = axis("head.layers", [1, 2, 3])

    assert [level.name for level in depth.levels] == ["1", "2", "3"]
    assert [level.patch for level in depth.levels] == [{"head.layers": n} for n in (1, 2, 3)]
    assert depth.baseline_level is depth.level("2")
    assert depth.paths == {"head.layers"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("strategy.learning_rate", 1e-5, "1e-5"),
        ("strategy.learning_rate", 0.0003, "0.0003"),
        ("strategy.use_margin", True, "true"),
        ("head.hidden_size", 64, "64"),
        ("head.activation", "gelu", "gelu"),
    ],
)
def test_a_value_is_named_as_it_is_written(name: str, value: Scalar, expected: str) -> None:
    assert axis(name, [value]).levels[0].name == expected


def test_nothing_is_a_value_too() -> None:
    width = axis("head.hidden_size", [None, 64])

    assert width.baseline_level is width.level("null")


def test_names_of_a_shipped_axis_become_its_patches() -> None:
    head = axis("head", ["linear", "2-silu"])

    assert head.level("linear").patch == {"head.layers": 1, "head.activation": "none"}
    assert head.baseline_level is head.level("2-silu")


def test_patches_make_an_axis_of_any_name() -> None:
    recipe = axis("recipe", {"long": {"strategy.epochs": 2, "data.pairs": 128}})

    assert recipe.level("long").applied(BASELINE).total_steps == 4
    assert recipe.baseline_level is None


def test_patches_may_redefine_a_shipped_axis() -> None:
    scale = axis("scale", {"slow": {"backbone.scale": "s", "strategy.epochs": 2}})

    assert [level.name for level in scale.levels] == ["slow"]


def test_a_level_that_trains_the_same_as_the_baseline_is_the_baselines_own() -> None:
    twice = axis("mix", {"twice": {"data.weights": {"scenes": 2}}, "none": {"head.dropout": 0.5}})

    assert twice.baseline_level is twice.level("twice")


def test_every_wrong_level_is_named_at_once() -> None:
    assert problems("head.layers", [1, 9, "two", 1, True]) == [
        "[1]: expected a number of at most 5, came the number 9",
        "[2]: expected a whole number, came the text 'two'",
        "[3]: the level '1' stands here twice",
        "[4]: expected a whole number, came true",
    ]


def test_levels_that_train_the_same_weights_are_refused() -> None:
    equal = {"a": {"data.weights": {"text": 1}}, "b": {"data.weights": {"text": 3}}}

    assert problems("mix", equal) == ["b: the levels 'a' and 'b' train the same weights; keep one"]


def test_an_axis_of_machine_settings_is_refused() -> None:
    assert problems("machine.threads", [1, 2]) == [
        "[1]: the levels '1' and '2' train the same weights; keep one "
        "(machine settings never change what is trained)"
    ]


def test_seeds_and_benchmarks_are_no_axes() -> None:
    assert "replicates.seeds" in problems("seed", [1, 2])[0]
    assert "every arm is measured alike" in problems("evaluation.monitor", ["validation"])[0]
    assert "replicates.seeds" in problems("mine", {"a": {"seed": 3, "head.layers": 3}})[0]


@pytest.mark.parametrize(
    ("name", "levels", "message"),
    [
        ("head.layer", [1], "did you mean 'head.layers'"),
        ("scales", ["xs"], "did you mean 'scale'"),
        ("strategy.freeze", [True], "is a section; name one of its settings"),
        ("head.layers", [], "expected at least one level, came none"),
        ("mine", {}, "expected at least one level, came none"),
        ("head.layers", [2], "the only level '2' is the baseline's own; nothing varies"),
        ("head", ["2-slu"], "unknown level '2-slu' of the axis head; did you mean '2-silu'?"),
        ("scale", [1], "unknown level '1' of the axis scale; known: xs, s"),
        ("data_mix", ["scenes+digit"], "did you mean 'scenes+digits'"),
        ("data_mix", ["scenes+scenes"], "unknown level 'scenes+scenes'"),
        ("backbone", ["tiny-internvl"], "did you mean 'tiny-internvl3'"),
        ("mine", {"a=b": {"head.layers": 3}}, "without '=', ',' or '|'"),
        ("mine", {"": {"head.layers": 3}}, "1 to 100 characters"),
        ("mine here", {"a": {"head.layers": 3}}, "expected an axis name of letters"),
        ("mine", {"a": {"data.weights": {"scnes": 1}}}, "unknown data source 'scnes'"),
        (
            "mine",
            {"a": {"data.weights": {"x": 1}, "data.sources": {"x": {"kind": "file"}}}},
            "data source 'x': expected a value, but the key is missing",
        ),
    ],
)
def test_what_is_no_axis_says_why(name: str, levels: Levels, message: str) -> None:
    assert any(message in problem for problem in problems(name, levels))


def test_without_a_baseline_names_and_values_are_still_checked() -> None:
    def check(name: str, levels: Levels) -> None:
        resolve_axis(AxisRequest(name=name, levels=levels), None)

    check("scale", ["whatever the family has"])
    with pytest.raises(InvalidSettings, match="at most 5"):
        check("head.layers", [9])


def test_what_only_matters_sometimes_brings_its_condition() -> None:
    activation = axis("head.activation", ["none", "silu"], when="scale == 'xs'")

    assert str(activation.condition) == (
        "scale == 'xs' and paradigm != 'generative' and (head.layers >= 2 or head.kind != 'layers')"
    )
    assert axis("paradigm", ["scalar", "critic"]).condition is None


def test_a_conditional_axis_marks_the_baselines_value_though_it_trains_nothing_there() -> None:
    linear = apply_patch(BASELINE, {"head.layers": 1})

    activation = axis("head.activation", ["none", "silu"], baseline=linear)

    assert activation.baseline_level is activation.level("silu")


@pytest.mark.parametrize("name", AXES)
def test_every_shipped_level_fits_the_default_config_and_differs_from_the_others(name: str) -> None:
    levels = shipped_axis(name).levels(BASELINE)
    if name == "backbone":  # it has both `family` and `family/scale`
        levels = tuple(level for level in levels if "/" in level.name)

    configs = [level.applied(BASELINE) for level in levels]

    assert len({level.name for level in levels}) == len(levels) > 1
    assert sum(trains_the_same(config, BASELINE) for config in configs) == 1
    assert not any(
        trains_the_same(first, second)
        for index, first in enumerate(configs)
        for second in configs[:index]
    )


def test_levels_relative_to_the_baseline_follow_it() -> None:
    config = apply_patch(BASELINE, {"strategy.learning_rate": 0.004, "strategy.epochs": 3})

    strategy = axis("strategy", ["quarter_rate", "two_passes"], baseline=config)

    assert strategy.level("quarter_rate").applied(config).strategy.learning_rate == 0.001
    assert strategy.level("two_passes").applied(config).strategy.epochs == 6


def test_one_source_can_be_left_out_of_the_baselines_mix() -> None:
    config = apply_patch(BASELINE, {"data.weights": {"scenes": 3, "text": 1, "digits": 2}})

    mix = axis("data_mix", ["without-text", "digits+text"], baseline=config)

    assert mix.level("without-text").applied(config).data.weights == {"scenes": 3, "digits": 2}
    assert mix.level("digits+text").applied(config).data.weights == {"digits": 1, "text": 1}


def test_larger_backbones_are_guessed_to_cost_more() -> None:
    config = apply_patch(BASELINE, {"backbone": {"family": "qwen2.5-vl", "scale": "7b"}})

    scale = axis("scale", ["3b", "7b", "32b"], baseline=config)

    costs = [level.cost_hint for level in scale.levels]
    assert costs == sorted(costs)
    assert scale.level("7b").cost_hint == 1


def test_the_catalog_lists_axes_and_levels_as_plain_rows() -> None:
    rows = {row["name"]: row for row in axis_rows()}

    assert set(rows) == {"paradigm", "head", "strategy", "data_mix", "backbone", "scale"}
    assert rows["scale"]["levels"] == ["xs", "s"]
    assert [row["name"] for row in level_rows("scale") if row["is_baseline"]] == ["s"]
    with pytest.raises(MissingError, match="did you mean 'scale'"):
        level_rows("scales")


def test_an_axis_can_be_shown_as_plain_values() -> None:
    row = axis_row(axis("head.pooling", ["last", "mean"]))

    assert row["when"] == "paradigm != 'generative'"
    assert row["levels"][1] == {
        "name": "mean",
        "patch": {"head.pooling": "mean"},
        "is_baseline": False,
    }


def test_a_level_is_called_as_it_is_written() -> None:
    written = ["/models/base-01", 1e-5, 0.5, 3, True, None]

    assert [value_name(value) for value in written] == [
        "/models/base-01", "1e-5", "0.5", "3", "true", "null",
    ]  # fmt: skip
