"""The baseline is settled from recipes, files and inline settings, with `set` on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SpecError
from infra.findings import InvalidSettings
from sweep.spec.baseline import baseline_config, load_trainer_config
from sweep.spec.sweep_spec import SweepSpec


def spec(**settings: Any) -> SweepSpec:  # noqa: ANN401 -- any part of a sweep
    return SweepSpec(name="sweep", **settings)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(sweep: SweepSpec, folder: Path | None = None) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        baseline_config(sweep, folder)
    return [str(problem) for problem in caught.value.problems]


def test_inline_settings_may_be_nested_or_dotted() -> None:
    config = baseline_config(spec(baseline={"head": {"layers": 3}, "strategy.epochs": 2}))

    assert config.head.layers == 3
    assert config.strategy.epochs == 2


def test_a_recipe_is_found_by_name_and_set_changes_it() -> None:
    config = baseline_config(spec(baseline="basereward-tiny", set={"head.layers": 3}))

    assert config.backbone.family == "tiny-qwen2.5-vl"
    assert config.head.layers == 3


def test_a_file_is_found_beside_the_sweep(tmp_path: Path) -> None:
    write(tmp_path, "mine.yaml", "head: {layers: 4}\n")

    assert baseline_config(spec(baseline="mine.yaml"), tmp_path).head.layers == 4


def test_a_file_is_found_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "mine.yaml", "head.layers: 4\n")
    monkeypatch.chdir(tmp_path)

    assert baseline_config(spec(baseline="mine.yaml"), tmp_path / "elsewhere").head.layers == 4


def test_another_sweep_lends_its_settled_baseline(tmp_path: Path) -> None:
    write(tmp_path, "first.yaml", "name: first\nbaseline: {head.layers: 3}\nset: {data.pairs: 64}")
    write(tmp_path, "second.yaml", "name: second\nbaseline: first.yaml\nset: {strategy.epochs: 2}")

    config = baseline_config(spec(baseline="second.yaml"), tmp_path)

    assert (config.head.layers, config.data.pairs, config.strategy.epochs) == (3, 64, 2)


def test_problems_of_baseline_and_set_are_named_together() -> None:
    assert problems(spec(baseline="basereward-tinny", set={"head.layer": 3, "data.pairs": 0})) == [
        "baseline: there is no file basereward-tinny, and no shipped recipe of that name; "
        "did you mean 'basereward-tiny'?",
        "set.head.layer: unknown setting 'head.layer'; did you mean 'head.layers'?",
        "set.data.pairs: expected a number above 0, came the number 0",
    ]


def test_problems_inside_a_baseline_file_name_its_own_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", "paradigm: scalar\nhead:\n  layers: 9\n")

    assert problems(spec(baseline="mine.yaml"), tmp_path) == [
        f"baseline: in {path.resolve()}: line 3, head.layers: "
        "expected a number of at most 5, came the number 9"
    ]


def test_baselines_that_name_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "name: a\nbaseline: b.yaml\n")
    write(tmp_path, "b.yaml", "name: b\nbaseline: a.yaml\n")

    assert (
        "in a circle: a.yaml -> b.yaml -> a.yaml" in problems(spec(baseline="a.yaml"), tmp_path)[0]
    )


def test_a_trainer_config_is_loaded_by_itself_with_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", "head: {layers: 3}\n")

    config = load_trainer_config(path, ["head.activation=tanh", "strategy.learning_rate=1e-5"])

    assert (config.head.layers, config.head.activation) == (3, "tanh")
    assert config.strategy.learning_rate == 1e-5


def test_a_sweep_file_as_trainer_config_is_its_baseline() -> None:
    assert load_trainer_config("demo").data.weights == {"scenes": 1, "digits": 1, "text": 1}


def test_a_wrong_override_of_a_trainer_config_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", "head: {layers: 3}\n")

    with pytest.raises(SpecError, match=r"did you mean 'head\.layers'"):
        load_trainer_config(path, ["head.layer=3"])
    with pytest.raises(SpecError, match="expected path=value"):
        load_trainer_config(path, ["head.layers"])


def test_all_wrong_overrides_of_a_trainer_config_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", "head: {layers: 3}\n")
    wrong = ["head.leyers=2", "strategy.learning_rate=-1", "head.layers", "seed=1"]

    with pytest.raises(SpecError) as caught:
        load_trainer_config(path, wrong)

    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 3
    assert str(caught.value).startswith("--set has 3 problems")
    assert any("did you mean 'head.layers'" in each for each in told)
    assert any(each.startswith("strategy.learning_rate: ") for each in told)
    assert any("expected path=value" in each for each in told)


def test_overrides_that_fit_together_are_not_judged_one_by_one(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", "strategy: {batch_pairs: 8}\n")
    together = ["machine.workers=3", "strategy.batch_pairs=9", "seed=1", "seed=2"]

    config = load_trainer_config(path, together)

    assert (config.machine.workers, config.strategy.batch_pairs, config.seed) == (3, 9, 2)


def test_a_wrong_trainer_config_names_its_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", "head:\n  layers: 3\n  activation: slu\nseed: -1\n")

    with pytest.raises(SpecError) as caught:
        load_trainer_config(path)

    assert [problem.line for problem in caught.value.problems] == [3, 4]
