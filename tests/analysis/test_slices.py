"""Where arms are strong and weak: by slice, without the right images, trained on text alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.ablation import ablate
from analysis.outcomes import Outcomes
from analysis.slices import image_check, slice_table, slice_tables
from analysis.tables import read_sweep
from analysis.text_twins import text_twins
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep, one_axis


def test_a_weakness_in_one_category_shows_there_and_nowhere_else(tmp_path: Path) -> None:
    arms = [
        *one_axis({"a": 1.0}),
        MadeArm(name="head=b", point={"head": "b"}, weak_at={"where": 1.5}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=800, seeds=5))
    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    table = slice_table(ablation.outcomes, ablation.baseline)

    assert table is not None
    assert table.slices == ("colour", "count", "shape", "where")
    assert table.cells["head=b", "where"].verdict == "worse in general"
    assert "in general" not in table.cells["head=b", "shape"].verdict
    value, interval = table.macro["head=b"]
    assert interval is not None
    assert interval[0] < value < interval[1]
    assert slice_table(ablation.outcomes, ablation.baseline, by="source") is None


def test_few_groups_and_an_arm_without_a_slice_have_no_interval_of_their_mean(
    tmp_path: Path,
) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.6}), items=40, seeds=1))
    outcomes = ablate(read_sweep(made.ledger, made.sweep_id)).outcomes
    values = outcomes.values.copy()
    values[1, (outcomes.pairs["category"] == "where").to_numpy()] = np.nan

    table = slice_table(replace(outcomes, values=values), "baseline")

    assert table is not None
    assert list(table.macro) == ["baseline"]
    assert table.macro["baseline"][1] is None, "20 groups are too few to draw from"


def test_a_cut_that_another_one_makes_already_is_shown_once(tmp_path: Path) -> None:
    recipe = Recipe(arms=one_axis({"a": 1.0, "b": 0.6}), items=120, seeds=1, text_groups=20)
    made = make_sweep(tmp_path, recipe)
    outcomes = ablate(read_sweep(made.ledger, made.sweep_id)).outcomes

    tables = slice_tables(outcomes, "baseline", ("modality", "source", "category", "modality"))

    assert [table.by for table in tables] == ["modality", "category"]
    assert tables[0].slices == ("image", "text")


def test_slices_by_length_tell_where_the_better_response_is_the_longer(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.6}), items=120, seeds=2))
    outcomes = ablate(read_sweep(made.ledger, made.sweep_id)).outcomes

    table = slice_table(outcomes, "baseline", by="length")

    assert table is not None
    assert table.slices == ("better is shorter", "better is longer")  # lengths differ by one
    assert sum(table.pairs) == 120
    longer = outcomes.pairs["length_gap"].to_numpy() > 0
    shown = table.cells["head=b", "better is longer"].accuracy
    assert shown == pytest.approx(outcomes.of("head=b")[:, longer].mean())


def test_slices_by_the_labels_margin_are_thirds_in_order(tmp_path: Path) -> None:
    arms = one_axis({"a": 1.0, "b": 0.6})
    made = make_sweep(tmp_path, Recipe(arms=arms, items=120, seeds=2, label_margins=True))
    outcomes = ablate(read_sweep(made.ledger, made.sweep_id)).outcomes

    table = slice_table(outcomes, "baseline", by="margin")

    assert table is not None
    assert (table.slices, table.pairs) == (("up to 1", "1 to 2", "above 2"), (40, 40, 40))
    largest = outcomes.pairs["margin"].to_numpy() == 3
    shown = table.cells["head=b", "above 2"].accuracy
    assert shown == pytest.approx(outcomes.of("head=b")[:, largest].mean())


@pytest.mark.parametrize("margins", [[None] * 4, [2.0] * 4], ids=["no margins", "all alike"])
def test_margins_that_tell_nothing_apart_make_no_slices(margins: list[float | None]) -> None:
    outcomes = Outcomes(
        benchmark="test",
        trials=(("a", 0),),
        pairs=pd.DataFrame({"group_id": list("wxyz"), "margin": margins}),
        values=np.ones((1, 4)),
        convention="ties are wrong",
    )

    assert slice_table(outcomes, None, by="margin") is None


def test_shuffled_images_tell_what_the_text_alone_gives(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.1})))
    tables = read_sweep(made.ledger, made.sweep_id)

    check = image_check(tables, ablate(tables).outcomes)

    assert check is not None
    assert (check.shuffled, check.pairs) == ("test-blind", 400)
    for arm in check.arms:
        assert arm.blind.value < 0.65 < arm.seeing.value
        assert arm.drop is not None
        assert arm.drop.difference > 0.1


def test_an_arm_trained_on_text_alone_tells_what_training_on_images_brings(tmp_path: Path) -> None:
    both = {"scenes": 1.0, "text": 1.0}
    arms = [
        MadeArm(name="baseline", point={"data_mix": "both"}, trained_on=both),
        MadeArm(
            name="data_mix=text",
            point={"data_mix": "text"},
            trained_on={"text": 1.0},
            ability=0.1,
        ),
        MadeArm(name="data_mix=scenes", point={"data_mix": "scenes"}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, text_groups=50))
    tables = read_sweep(made.ledger, made.sweep_id)

    (twin,) = text_twins(tables, ablate(tables).outcomes, "baseline")

    assert (twin.arm, twin.pairs) == ("data_mix=text", 300)
    assert twin.gap is not None
    assert 0.1 < twin.gap.difference < 0.5
    assert text_twins(tables, ablate(tables).outcomes, "data_mix=text") == []
