"""A resolved sweep can be planned; what cannot is refused with every reason and its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SpecError
from sweep.spec.resolve import resolve, resolve_file
from sweep.spec.sweep_spec import SweepSpec


def resolved_problems(folder: Path, text: str) -> list[str]:
    path = folder / "sweep.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        resolve_file(path)
    return [str(problem) for problem in caught.value.problems]


def problems(**settings: Any) -> list[str]:  # noqa: ANN401 -- any part of a sweep
    with pytest.raises(SpecError) as caught:
        resolve(SweepSpec(name="sweep", **settings))
    return [str(problem) for problem in caught.value.problems]


def test_a_sweep_built_in_python_resolves_like_one_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("name: a\nset: {head.layers: 3}\naxes: {scale: [xs, s]}\n", encoding="utf-8")

    from_file = resolve_file(path)
    built = resolve(SweepSpec(name="a", set={"head.layers": 3}, axes={"scale": ["xs", "s"]}))

    assert from_file == built
    assert built.baseline.head.layers == 3
    assert [axis.name for axis in built.axes] == ["scale"]


def test_overrides_reach_the_resolved_sweep() -> None:
    resolved = resolve_file("demo", ["set.data.pairs=64", "axes.scale=[s]"])

    assert resolved.baseline.data.pairs == 64
    assert [level.name for level in resolved.axes[-1].levels] == ["s"]


def test_every_problem_of_a_file_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    found = resolved_problems(
        tmp_path,
        """\
name: many
set:
  data.weights: {scenes: 1, scnes: 1}
axes:
  head.layers: [1, 2, 9]
  head.activaton: [none, tanh]
  scale: [xs, m]
  mine:
    levels:
      a: {machine.worker: 2}
  head.pooling:
    levels: [last, mean]
    when: head.layer > 1
objective: {benchmark: tets, metric: acuracy}
budget: {usd: 1, trials: 2}
""",
    )

    assert found == [
        "line 3, set.data.weights: unknown data source 'scnes'; did you mean 'scenes'?",
        "line 5, axes.head.layers[2]: expected a number of at most 5, came the number 9",
        "line 6, axes.head.activaton: 'head.activaton' is neither a shipped axis nor a setting, "
        "so its levels must be named patches; did you mean 'head.activation'?",
        "line 7, axes.scale[1]: unknown level 'm' of the axis scale; known: xs, s",
        "line 10, axes.mine.levels.a.machine.worker: unknown setting 'machine.worker'; "
        "did you mean 'machine.workers'?",
        "line 13, axes.head.pooling.when: unknown setting or axis 'head.layer'; "
        "did you mean 'head.layers'?",
        "line 14, objective.benchmark: unknown benchmark 'tets'; did you mean 'test'?",
        "line 14, objective.metric: unknown metric 'acuracy'; did you mean 'accuracy'?",
        "line 15, budget.usd: a limit in dollars needs a price; give budget.usd_per_gpu_hour",
        "line 15, budget.trials: 2 trials cannot hold one arm of 3 seeds; "
        "raise budget.trials or lower replicates.seeds",
    ]


def test_what_is_wrong_with_the_baseline_is_not_said_again_of_every_level() -> None:
    found = problems(
        set={"backbone.family": "tiny-qwen"},
        axes={
            "paradigm": ["scalar", "critik"],
            "head.layers": [2, 3],
            "head.activation": {"levels": ["silu", "tanh"], "when": "head.layerz >= 2"},
        },
    )

    assert found[0].startswith("set.backbone.family: unknown backbone.family 'tiny-qwen'")
    assert found[1:] == [
        "axes.paradigm[1]: unknown level 'critik' of the axis paradigm; did you mean 'critic'?",
        "axes.head.activation.when: unknown setting or axis 'head.layerz'; "
        "did you mean 'head.layers'?",
    ]


def test_axes_are_judged_even_when_the_baseline_cannot_be_read() -> None:
    found = problems(baseline="dem", axes={"head.layers": [9], "scale": ["whatever"]})

    assert found == [
        "baseline: there is no file dem, and no shipped recipe of that name; did you mean 'demo'?",
        "axes.head.layers[0]: expected a number of at most 5, came the number 9",
    ]


def test_selecting_by_test_items_is_refused() -> None:
    assert problems(objective={"benchmark": "test"}) == [
        "objective.benchmark: 'test' is a test benchmark, "
        "and test items must not select anything; use validation"
    ]


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"mode": "min"}, "expected max for accuracy, came min"),
        ({"metric": "ties"}, "expected min for ties, came max"),
        ({"metric": "longer_wins"}, "is reported, but nothing is better"),
        ({"metric": "loss"}, "unknown metric 'loss'"),
    ],
)
def test_an_objective_nobody_can_select_by_is_refused(
    objective: dict[str, str], message: str
) -> None:
    assert message in problems(objective=objective)[0]


@pytest.mark.parametrize("metric", ["accuracy_category_count", "accuracy_source_scenes"])
def test_one_category_or_source_can_be_selected_by(metric: str) -> None:
    resolve(SweepSpec.model_validate({"name": "a", "objective": {"metric": metric}}))


def test_a_seed_in_the_baseline_is_refused() -> None:
    assert "replicates.first_seed" in problems(set={"seed": 3})[0]


def test_a_folder_that_holds_no_model_is_told_where_it_was_written(tmp_path: Path) -> None:
    text = f"name: a\naxes:\n  scale: [xs, s]\nset:\n  backbone.path: {tmp_path}/none\n"

    (found,) = resolved_problems(tmp_path, text)

    assert found.startswith(f"line 5, set.backbone.path: backbone path {tmp_path}/none: expected a")


def test_a_backbone_nobody_knows_is_a_problem_of_the_baseline() -> None:
    assert "unknown backbone.scale" in problems(set={"backbone.scale": "m"})[0]


def test_a_level_that_makes_an_unknown_backbone_is_refused() -> None:
    found = problems(axes={"backbone.family": ["tiny-qwen2.5-vl", "qwen2.5-vl"]})

    assert len(found) == 1
    assert "level 'qwen2.5-vl': unknown backbone.scale of family qwen2.5-vl 's'" in found[0]


def test_combinations_that_make_an_unknown_backbone_are_refused_in_a_grid_only() -> None:
    family = {"levels": {"large": {"backbone": {"family": "qwen2.5-vl", "scale": "7b"}}}}
    other = {"levels": {"two": {"machine.workers": 2, "strategy.epochs": 2}}}
    batch = {"levels": {"odd": {"strategy.batch_pairs": 63}}}
    axes = {"family": family, "gang": other, "batch": batch}

    resolve(SweepSpec.model_validate({"name": "a", "axes": axes}))
    found = problems(axes=axes, design={"kind": "grid"})

    assert found == [
        "axes.batch: gang=two, batch=odd: strategy.batch_pairs (63) must be a multiple of "
        "machine.workers (2)"
    ]


def test_two_axes_that_change_one_setting_cannot_be_crossed() -> None:
    axes = {"head": ["linear", "2-silu"], "head.layers": [1, 2]}

    resolve(SweepSpec.model_validate({"name": "a", "axes": axes}))
    found = problems(axes=axes, design={"kind": "grid"})

    assert len(found) == 1
    assert "axes.head.layers: changes head.layers, and so does the axis head" in found[0]


def test_backbone_families_and_scales_can_be_crossed() -> None:
    axes = {"backbone": ["tiny-qwen2.5-vl", "tiny-internvl3"], "scale": ["xs", "s"]}
    settings = {"axes": axes, "design": {"kind": "grid"}}

    resolve(SweepSpec.model_validate({"name": "a", **settings}))
    with_path = {**settings, "set": {"backbone.path": "somewhere/else"}}
    resolve(SweepSpec.model_validate({"name": "a", **with_path}))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"storage": "gs://bucket"}, "storage: expected auto, file:FOLDER or s3://"),
        ({"tracking": {"uri": "file:mlruns"}}, "tracking.uri: expected auto, sqlite:///FILE"),
    ],
)
def test_a_place_there_is_none_of_is_refused(settings: dict[str, Any], expected: str) -> None:
    assert problems(**settings)[0].startswith(expected)


def test_an_axis_that_never_varies_is_refused_in_one_factor_designs() -> None:
    axes = {"head.layers": [1, 2], "head.activation": ["none", "silu"]}
    settings: dict[str, Any] = {"axes": axes, "set": {"head.layers": 1}}

    found = problems(**settings)
    resolve(SweepSpec.model_validate({"name": "a", "design": {"kind": "grid"}, **settings}))

    assert len(found) == 1
    assert "axes.head.activation.when: never varies" in found[0]
    assert "head.layers is 1" in found[0]


def test_a_condition_that_holds_nowhere_in_a_grid_is_refused() -> None:
    axes = {
        "head.layers": [1, 2],
        "head.pooling": {"levels": ["last", "mean"], "when": "head.layers > 3"},
    }

    found = problems(axes=axes, design={"kind": "grid"})

    assert found == [
        "axes.head.pooling.when: never varies: "
        "`head.layers > 3 and paradigm != 'generative'` does not hold anywhere"
    ]


def test_a_condition_reached_through_another_conditional_axis_is_found() -> None:
    axes = {
        "head.layers": [1, 3],
        "head.activation": ["silu", "tanh"],
        "head.dropout": {"levels": [0, 0.1], "when": "head.activation == 'tanh'"},
    }

    resolve(
        SweepSpec.model_validate(
            {"name": "a", "axes": axes, "design": {"kind": "grid"}, "set": {"head.layers": 1}}
        )
    )


def test_conditions_that_wait_for_each_other_are_refused() -> None:
    axes = {
        "head.dropout": {"levels": [0, 0.1], "when": "strategy.weight_decay > 0"},
        "strategy.weight_decay": {"levels": [0, 0.1], "when": "head.dropout > 0"},
    }

    assert "wait for each other" in problems(axes=axes)[0]


def test_what_is_allowed_but_worth_knowing_is_noted() -> None:
    notes = resolve(SweepSpec.model_validate({"name": "a", "replicates": {"seeds": 1}})).notes

    assert any("one seed per arm" in note for note in notes)
    assert any("no axes" in note for note in notes)


def test_a_sweep_written_out_whole_is_the_same_sweep() -> None:
    axes = {
        "head.layers": {"levels": [1, 2], "question": "How deep?"},
        "strategy.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True, "steps": 3},
        "data_mix": {"members": ["scenes", "digits"], "always": ["scenes"]},
    }
    spec = SweepSpec.model_validate({"name": "a", "axes": axes, "design": {"kind": "add_one_in"}})

    again = SweepSpec.model_validate(spec.model_dump(mode="json"))

    assert again == spec
    assert resolve(again) == resolve(spec)


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ({"kind": "one_factor"}, "it is an arm of its own"),
        ({"kind": "grid"}, "this design does not train it"),
        ({"kind": "random", "points": 1}, "it is an arm of its own"),
        ({"kind": "random", "points": 1, "with_baseline": False}, "does not train it"),
        ({"kind": "tpe", "trials": 3}, "it is an arm of its own"),
        (
            {"kind": "staged", "stages": [{"name": "depth", "axes": ["head.layers"]}]},
            "it is an arm of its own",
        ),
    ],
)
def test_a_baseline_beside_its_axis_is_pointed_out(design: dict[str, Any], said: str) -> None:
    spec = {"name": "a", "axes": {"head.layers": [1, 3]}, "design": design}

    notes = resolve(SweepSpec.model_validate(spec)).notes

    assert [note for note in notes if "head.layers" in note and said in note]
