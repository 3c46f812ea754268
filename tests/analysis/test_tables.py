"""Tables of a recorded sweep, and the wall between selection and reporting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.alignment import Row, align_outcomes
from analysis.frames import ARM_COLUMNS, TRIAL_COLUMNS, items_frames
from analysis.layouts import Block, Layouts
from analysis.outcomes import Outcomes, contrast, refuse_shared_groups
from analysis.statistics.paired import Convention
from analysis.tables import open_sweep, read_sweep
from infra.errors import InputError, MissingError
from sweep.records.lifecycle import TrialState
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep, one_axis
from trainer.scores import score_table


@pytest.fixture
def made(tmp_path: Path) -> MadeSweep:
    arms = [
        *one_axis({"2-silu": 1.0, "linear": 0.7}),
        MadeArm(
            name="head=5-silu",
            point={"head": "5-silu"},
            ends={0: TrialState.FAILED, 1: TrialState.STOPPED_EARLY, 2: TrialState.PENDING},
        ),
    ]
    return make_sweep(tmp_path, Recipe(arms=arms, items=120))


def test_trials_and_arms_are_counted_by_how_they_ended(made: MadeSweep) -> None:
    tables = read_sweep(made.ledger, "reward-head")

    assert list(tables.trials.columns[: len(TRIAL_COLUMNS)]) == list(TRIAL_COLUMNS)
    assert list(tables.arms.columns) == [*ARM_COLUMNS, "axis:head"]
    assert len(tables.trials) == 9
    arm = tables.arms.set_index("arm").loc["head=5-silu"]
    assert (arm["failed"], arm["stopped_early"], arm["unfinished"]) == (1, 1, 1)
    assert tables.baseline == "baseline"
    assert {"train/loss", "eval/validation/accuracy"} <= set(tables.curves["metric"])


def test_a_notebook_opens_a_sweep_by_name(made: MadeSweep) -> None:
    tables = open_sweep("reward-head", home=made.home)

    assert tables.sweep_id == made.sweep_id
    with pytest.raises(MissingError, match="did you mean reward-head"):
        open_sweep("reward-haed", home=made.home)


def test_only_trials_that_trained_to_their_end_have_outcomes(made: MadeSweep) -> None:
    outcomes = read_sweep(made.ledger, "reward-head").outcomes("test", purpose="reporting")

    assert outcomes.arms == ["baseline", "head=linear"]
    assert outcomes.values.shape == (6, 120)
    assert outcomes.seeds("baseline") == [0, 1, 2]
    items = read_sweep(made.ledger, "reward-head").items("test", purpose="reporting")
    assert items["correct"].mean() == pytest.approx(outcomes.values.mean())


def test_accuracies_are_those_the_trainer_recorded(made: MadeSweep) -> None:
    tables = read_sweep(made.ledger, "reward-head")
    recorded = tables.trials.set_index(["arm", "seed"])["eval/test/accuracy"]

    outcomes = tables.outcomes("test", purpose="reporting")

    for row, key in enumerate(outcomes.trials):
        assert outcomes.values[row].mean() == pytest.approx(recorded[key])


def test_selection_may_not_look_at_test_items_nor_reporting_at_validation(
    made: MadeSweep,
) -> None:
    tables = read_sweep(made.ledger, "reward-head")

    with pytest.raises(InputError, match="selection may only use validation items"):
        tables.outcomes("test", purpose="selection")
    with pytest.raises(InputError, match="reporting may only use test items"):
        tables.outcomes("validation", purpose="reporting")
    assert tables.benchmarks_for("selection") == ["validation"]
    assert tables.benchmarks_for("reporting") == ["test"]
    assert tables.benchmarks_for("reporting", shuffled=True) == ["test-blind"]


def test_groups_in_both_splits_are_refused() -> None:
    refuse_shared_groups(["a", "b"], ["c"])

    with pytest.raises(InputError, match="1 of 2 item groups"):
        refuse_shared_groups(["a", "b"], ["b", "c"])


Models = Mapping[tuple[str, int], tuple[str, Sequence[float]]]
"""By arm and seed, the items a model was scored on and its margin on each."""


def _blocks(models: Models) -> list[Block]:
    layouts = Layouts()
    blocks = []
    for (arm, seed), (items, margins) in models.items():
        rows = [
            {
                "benchmark": "test", "split": "test", "item_id": item, "group_id": item,
                "category": "", "source": "", "modality": "text", "response": response,
                "rank": response + 1, "score": 0.0 if response else margin, "order": 0,
                "parsed": True, "margin": None, "label_weight": 1.0, "prompt_tokens": 1,
                "response_tokens": 1, "response_characters": 1,
            }
            for item, margin in zip(items, margins, strict=True)
            for response in (0, 1)
        ]  # fmt: skip
        scored = layouts.cut(score_table(rows))
        blocks.append(
            Block(
                layout=scored.layout, identities=(f"{arm}{seed}",), scores=scored.scores[np.newaxis]
            )
        )
    return blocks


def _outcomes(models: Models, convention: Convention = "ties are wrong") -> Outcomes:
    blocks = _blocks(models)
    return align_outcomes(
        blocks,
        list({block.layout.digest: block.layout for block in blocks}.values()),
        [Row(f"{arm}{seed}", arm, seed) for arm, seed in models],
        benchmark="test",
        convention=convention,
    )


def test_arms_scored_on_other_items_are_compared_on_the_shared_ones_and_it_is_said() -> None:
    outcomes = _outcomes(
        {
            ("baseline", 0): ("abcd", [1, 1, -1, -1]),
            ("arm", 0): ("dcbe", [1, 1, 1, 1]),
            ("other", 0): ("yz", [1, 1]),
        }
    )

    comparison = contrast(outcomes, (("arm", "baseline"),))

    assert comparison is not None
    assert comparison.difference == pytest.approx(2 / 3)
    assert (comparison.items, comparison.dropped_items) == (3, 2)
    assert contrast(outcomes, (("other", "baseline"),)) is None
    assert contrast(outcomes, (("nobody", "baseline"),)) is None


def test_ties_count_as_the_convention_says() -> None:
    models = {("arm", 0): ("ab", [0.0, 1.0])}

    strict = _outcomes(models)
    half = _outcomes(models, "ties count half")

    assert np.array_equal(strict.values, [[0, 1]])
    assert np.array_equal(half.values, [[0.5, 1]])
    assert strict.tied == 0.5


def test_a_score_that_is_no_number_is_not_a_wrong_answer() -> None:
    outcomes = _outcomes(
        {
            ("whole", 0): ("abc", [1, -1, 1]),
            ("part", 0): ("abc", [1, math.nan, math.inf]),
            ("none", 0): ("abc", [math.nan] * 3),
        }
    )

    assert outcomes.trials == (("whole", 0), ("part", 0))
    assert np.array_equal(outcomes.values[1], [1, math.nan, math.nan], equal_nan=True)
    assert outcomes.unscored == {("part", 0): 2, ("none", 0): 3}


def test_a_pair_without_a_score_is_right_in_no_frame() -> None:
    blocks = _blocks({("part", 0): ("abc", [1, math.nan, math.inf])})

    (frame,) = items_frames(blocks, [Row("part0", "part", 0)])

    assert np.array_equal(frame["margin_score"], [1, math.nan, math.nan], equal_nan=True)
    assert list(frame["correct"]) == [1, 0, 0]
