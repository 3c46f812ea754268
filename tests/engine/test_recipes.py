"""Every shipped sweep can be planned, and asks for the rows its table has."""

from __future__ import annotations

import pytest

from search_spaces.recipes import recipe_names, recipe_path
from sweep.engine.growing.staging import StageGrowth
from sweep.engine.planning.plan import SweepPlan, make_plan
from sweep.spec.files import read_document
from sweep.spec.load import is_sweep
from sweep.spec.resolve import resolve_file
from tests.engine.known_digests import KnownDigests
from trainer.data.mixture import benchmark_suite

SWEEPS = [name for name in recipe_names() if is_sweep(read_document(recipe_path(name)))]
ROWS = {
    "paper-table-1-paradigm": 3,
    "paper-table-2-head": 7,
    "paper-table-4-data": 12,
    "paper-table-6-backbone": 7,
    "paper-table-7-ensemble": 4,
    "paper-figure-1-regularisation": 8,
    "paper-figure-2-text": 4,
    "paper-learning-rate": 4,
    "paper-data-leave-one-out": 8,
    "screening-tiny": 16,
    "paper-staged": 3,
}
"""Arms of a recipe, the paper's choice among them."""


def planned(name: str) -> SweepPlan:
    return make_plan(resolve_file(name), digests=KnownDigests(), devices=64)


@pytest.mark.parametrize("name", SWEEPS)
def test_every_shipped_sweep_can_be_planned(name: str) -> None:
    plan = planned(name)

    assert not plan.pending
    assert len({trial.identity for trial in plan.trials}) == len(plan.trials)
    assert len(plan.trials) == len(plan.arms) * plan.spec.replicates.seeds
    assert plan.estimate.makespan_hours is not None


@pytest.mark.parametrize(("name", "arms"), ROWS.items())
def test_a_recipe_asks_for_the_rows_of_its_table(name: str, arms: int) -> None:
    plan = planned(name)

    assert len(plan.arms) == arms


@pytest.mark.parametrize("name", [name for name in SWEEPS if name.startswith("paper-")])
def test_published_benchmarks_are_measured_whole_and_the_way_they_are_published(name: str) -> None:
    config = planned(name).trials[0].config
    suites = {
        benchmark: benchmark_suite(config.data, wanted)
        for benchmark, wanted in config.evaluation.benchmarks.items()
        if wanted.split == "test" and not config.evaluation.is_twin(benchmark)
    }

    assert suites
    assert all(suite == benchmark for benchmark, suite in suites.items())
    parts = [config.evaluation.benchmarks[benchmark].parts for benchmark in suites]
    assert all(count == "all" for held in parts for count in held.values())


def test_the_papers_way_has_the_rows_of_every_table_in_its_stages() -> None:
    growth = planned("paper-staged").growth

    assert isinstance(growth, StageGrowth)
    arms = [len({trial.arm for trial in growth.stage_trials(number, {})}) for number in range(6)]
    assert arms == [3, 7, 8, 12, 7, 4]
    # Where the paper's own choice wins, it is every stage's baseline.
    silu = {trial.arm for trial in growth.stage_trials(2, {"head": "3-silu"})}
    assert all("head=3-silu" in arm for arm in silu)


def test_the_screening_keeps_single_choices_clear_of_pairs() -> None:
    design = planned("screening-tiny").design

    assert design.resolution == 4
    assert design.aliases
    assert all(" x " in effect for line in design.aliases for effect in line.split(" = "))


def test_leaving_a_data_set_out_keeps_the_others_and_the_number_of_pairs() -> None:
    plan = planned("paper-data-leave-one-out")

    full, *others = [arm.config.data for arm in plan.arms]
    assert len(full.weights) == 7
    for data in others:
        assert len(data.weights) == 6
        assert data.pairs == full.pairs
