"""A report's warnings fire on what they warn of; without any it says what was looked at."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.ablation import ablate
from analysis.report.page import build_page
from analysis.report.trust import sanity
from analysis.sanity import check_sanity
from analysis.tables import read_sweep
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep, one_axis
from trainer.scores import read_scores, score_key, write_scores


def test_items_of_validation_that_are_on_test_under_another_group_are_a_leak(
    tmp_path: Path,
) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=60, seeds=1))
    (trial,) = read_sweep(made.ledger, made.sweep_id).succeeded()
    key = score_key(trial.identity, "validation")
    table = read_scores(made.store.read(key))
    names = [name.replace("validation-", "test-") for name in table["item_id"].to_pylist()[:10]]
    names += table["item_id"].to_pylist()[10:]
    place = table.schema.get_field_index("item_id")
    made.store.write(key, write_scores(table.set_column(place, "item_id", pa.array(names))))
    tables = read_sweep(made.ledger, made.sweep_id)

    (warning,) = check_sanity(tables, ablate(tables).outcomes).warnings

    assert warning.startswith("5 items, such as test-00000, are named alike in validation and test")


def test_arms_that_a_report_does_not_look_at_may_have_been_scored_on_more_items(
    tmp_path: Path,
) -> None:
    arms = one_axis({"a": 1.0, "b": 1.2})
    made = make_sweep(tmp_path, Recipe(arms=arms, items=60, seeds=1))
    tables = read_sweep(made.ledger, made.sweep_id)
    (first,) = [trial for trial in tables.succeeded() if trial.arm == "baseline"]
    key = score_key(first.identity, "test")
    made.store.write(key, write_scores(read_scores(made.store.read(key)).slice(20)))
    tables = read_sweep(made.ledger, made.sweep_id)
    outcomes = ablate(tables).outcomes

    (bias,) = check_sanity(tables, outcomes, arms=["baseline"]).length

    assert len(outcomes.pairs) == 60
    assert bias.excess.items <= 50


@pytest.mark.parametrize("skill", [40.0, -40.0], ids=["all", "none"])
def test_models_that_are_right_on_all_pairs_or_none_are_not_suspect(
    tmp_path: Path, skill: float
) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": skill, "b": skill}), items=60, seeds=2))
    tables = read_sweep(made.ledger, made.sweep_id)
    outcomes = ablate(tables).outcomes

    assert set(outcomes.values.ravel()) == {float(skill > 0)}
    assert check_sanity(tables, outcomes).warnings == ()


def test_scores_that_are_no_number_are_counted_by_trial(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=60, seeds=2))
    some, every = read_sweep(made.ledger, made.sweep_id).succeeded()
    for trial, lost in ((some, 6), (every, 120)):
        key = score_key(trial.identity, "test")
        table = read_scores(made.store.read(key))
        scores = [math.nan] * lost + table["score"].to_pylist()[lost:]
        place = table.schema.get_field_index("score")
        column = pa.array(scores, table.schema.field("score").type)
        made.store.write(key, write_scores(table.set_column(place, "score", column)))
    tables = read_sweep(made.ledger, made.sweep_id)

    assert check_sanity(tables, ablate(tables).outcomes).warnings == (
        "baseline seed 0: 3 pairs have a score that is no number",
        "baseline seed 1: 60 pairs have a score that is no number, which leaves none; it is in no "
        "comparison",
    )


def test_a_published_set_without_its_videos_is_not_compared_with_what_is_published(
    tmp_path: Path,
) -> None:
    told = {"eval/test/items": 145.0, "eval/test/published_items": 170.0}
    arms = [MadeArm(name="baseline", point={"head": "a"}, ability=1.0, reported=told)]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=60, seeds=2))
    tables = read_sweep(made.ledger, made.sweep_id)

    assert check_sanity(tables, ablate(tables).outcomes).warnings == (
        "test: 145 of 170 items: not comparable with published figures",
    )


def test_seeds_that_are_right_on_the_very_same_pairs_are_suspect(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=60, seeds=2))
    one, other = read_sweep(made.ledger, made.sweep_id).succeeded()
    key = score_key(one.identity, "test"), score_key(other.identity, "test")
    made.store.write(key[1], made.store.read(key[0]))
    tables = read_sweep(made.ledger, made.sweep_id)

    (warning,) = check_sanity(tables, ablate(tables).outcomes).warnings

    assert warning.startswith("seeds 0, 1 of baseline are right on the very same pairs: the seed")
    assert "seems to change nothing" in warning


@pytest.mark.parametrize(
    ("items", "validation", "said"),
    [
        (60, True, "the 60 items of validation were compared with those of the 60 of test"),
        (60, False, "No validation item has a score, so none was compared"),
        (12, True, "No trials were compared with each other, on fewer than 20 pairs"),
    ],
)
def test_a_report_without_a_warning_says_what_was_compared(
    tmp_path: Path, items: int, validation: bool, said: str
) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=items, seeds=2))
    if not validation:
        for table in (made.home / "store").rglob("scores/validation.parquet"):
            table.unlink()

    told = sanity(build_page(read_sweep(made.ledger, made.sweep_id))).prose

    assert told[0] == "Nothing was found in what was compared."
    assert said in " ".join(told[1:3])
    assert "2 of 2 trainings would have been refused, had they seen an image" in told[1]
    assert "Images and prompts of test were not compared with validation items" in told[1]
    assert "What is nearly the same was not looked for" in told[1]


def test_items_that_are_the_same_by_content_are_told_and_so_is_that_they_were_looked_for(
    tmp_path: Path,
) -> None:
    counted = {"eval/test/items_shared_with_validation": 7.0}
    arms = [MadeArm(name="baseline", point={"head": "a"}, ability=1.0, reported=counted)]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=60, seeds=2))
    first, second = read_sweep(made.ledger, made.sweep_id).succeeded()
    for trial in (first, second):  # a benchmark that came later has metrics of its own
        key = score_key(trial.identity, "test")
        table = read_scores(made.store.read(key))
        place = table.schema.get_field_index("benchmark")
        named = pa.array(["later"] * len(table))
        later = write_scores(table.set_column(place, "benchmark", named))
        made.store.write(score_key(trial.identity, "later", evaluation="e1"), later)
        shared = {"items_shared_with_training": 0.0 if trial is first else 3.0}
        made.ledger.record_evaluation(trial.identity, "later", "e1", shared)
    tables = read_sweep(made.ledger, made.sweep_id)

    on_test = check_sanity(tables, ablate(tables).outcomes)
    on_later = check_sanity(tables, ablate(tables, "later").outcomes)

    assert on_test.warnings == (
        "test, in 2 of 2 trials: 7 items hold an image, or without one a prompt, of validation "
        "items: what was selected on them is flattered",
    )
    assert (
        "Images and prompts of test were compared with those of validation" in (on_test.compared[0])
    )
    assert on_later.warnings == (
        "later, in 1 of 2 trials: 3 items hold an image, or without one a prompt, of training "
        "items: what was trained on them is flattered",
    )
    assert "later came after 2 of 2 trainings" in on_later.compared[0]


def test_a_judge_that_prefers_the_first_response_is_shown_by_seed_in_points(tmp_path: Path) -> None:
    arms = [
        *one_axis({"a": 1.0}),
        MadeArm(name="head=b", point={"head": "b"}, reported={"eval/test/position_bias": 0.125}),
        MadeArm(name="head=c", point={"head": "c"}, reported={"eval/validation/position_bias": 1}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=60, seeds=2))
    page = build_page(read_sweep(made.ledger, made.sweep_id))

    (table,) = [each for each in sanity(page).tables if each.label == "position-bias"]
    (bias,) = check_sanity(page.tables, page.ablation.outcomes).position

    assert table.rows == [["head=b", "+12.5, +12.5"]]
    assert (bias.arm, bias.mean) == ("head=b", 0.125)
    assert "+12.5, +12.5" in sanity(page).html.striptags()
