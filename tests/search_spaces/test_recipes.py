"""Every file we ship resolves, and says in its first comment what it is."""

from __future__ import annotations

import pytest

from infra.errors import MissingError
from search_spaces.recipes import recipe_names, recipe_path, recipe_summary
from search_spaces.settling import settle_point
from sweep.spec.baseline import load_trainer_config
from sweep.spec.files import read_document
from sweep.spec.load import is_sweep
from sweep.spec.resolve import resolve_file

SWEEPS = [name for name in recipe_names() if is_sweep(read_document(recipe_path(name)))]


@pytest.mark.parametrize("name", SWEEPS)
def test_every_shipped_sweep_resolves_and_is_named_like_its_file(name: str) -> None:
    resolved = resolve_file(name)

    assert resolved.spec.name == name
    assert resolved.spec.question
    assert resolved.spec.replicates.seeds >= 3


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_file_holds_a_trainer_config(name: str) -> None:
    assert load_trainer_config(name).evaluation.benchmarks["validation"].split == "validation"


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_file_says_what_it_is(name: str) -> None:
    assert len(recipe_summary(name)) > 40


@pytest.mark.parametrize("name", SWEEPS)
def test_every_level_that_ships_makes_a_trainer_config(name: str) -> None:
    resolved = resolve_file(name)

    for axis in resolved.axes:
        for level in axis.tried_levels:
            settled = settle_point(resolved.baseline, resolved.axes, {axis.name: level.name})
            assert settled.point == {axis.name: level.name}


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("paper-table-1-paradigm", 3),
        ("paper-table-2-head", 7),
        ("paper-table-4-data", 12),
        ("paper-table-6-backbone", 7),
        ("paper-learning-rate", 4),
    ],
)
def test_a_table_of_the_paper_has_its_rows_and_the_papers_choice_among_them(
    name: str, levels: int
) -> None:
    (axis,) = resolve_file(name).axes

    assert len(axis.levels) == levels
    assert axis.baseline_level is not None


def test_the_regularisation_figure_has_its_eight_cells() -> None:
    axes = resolve_file("paper-figure-1-regularisation").axes

    assert [len(axis.levels) for axis in axes] == [2, 4]


def test_the_demo_varies_every_axis_and_measures_every_arm_alike() -> None:
    resolved = resolve_file("demo")

    assert all(axis.baseline_level is not None for axis in resolved.axes)
    paths = {path.partition(".")[0] for axis in resolved.axes for path in axis.paths}
    assert paths == {"paradigm", "head", "strategy", "data", "backbone"}
    benchmarks = resolved.baseline.evaluation.benchmarks
    parts = [set(benchmarks[name].parts) for name in ("validation", "test")]
    assert parts == [{"scenes", "digits", "text"}] * 2
    assert benchmarks["test_text_only"].shuffle_images


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(MissingError, match="did you mean 'paper-table-2-head'"):
        recipe_path("paper-table-2")
