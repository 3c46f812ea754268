"""Printed tables: kept as printed, and everything wrong with them found by arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import show
from analysis.notebook_api import open_page, reading
from analysis.paper_checks import Finding, check_paper, is_share
from analysis.paper_rows import Cell, Paper, load_paper
from infra.errors import InputError
from tests.analysis.made_sweeps import Recipe, make_sweep, one_axis


@pytest.fixture(scope="module")
def paper() -> Paper:
    return load_paper()


@pytest.fixture(scope="module")
def found(paper: Paper) -> list[Finding]:
    return check_paper(paper)


def _rows(found: list[Finding], kind: str, table: str) -> set[tuple[str, str]]:
    return {(f.row, f.column) for f in found if f.kind == kind and f.table == table}


@given(st.integers(1, 2000), st.data(), st.integers(1, 2))
def test_a_true_share_is_never_doubted(items: int, data: st.DataObject, digits: int) -> None:
    right = data.draw(st.integers(0, items))

    assert is_share(Cell(text=f"{100 * right / items:.{digits}f}"), items)


@pytest.mark.parametrize("text", ["64.9", "90.1", "87.8"])
def test_what_cannot_be_a_share_of_170_is_doubted(text: str) -> None:
    assert not is_share(Cell(text=text), 170)


def test_internvl_was_scored_on_other_items_than_qwen(found: list[Finding]) -> None:
    rows = [f for f in found if f.table == "table6_backbone" and f.kind == "not representable"]

    assert {f.row.partition("-")[0] for f in rows} == {"InternVL2", "InternVL3"}
    assert len([f for f in rows if "k/153" in f.text]) == 4
    assert len([f for f in rows if "k/37" in f.text]) == 4


def test_general_and_reasoning_are_exchanged_in_our_rows_of_table_9_alone(
    found: list[Finding],
) -> None:
    swapped = {row for row, _ in _rows(found, "swapped columns", "table9_vlrb")}

    assert len(swapped) == 3
    assert all(row.startswith("BaseReward") for row in swapped)
    texts = [f.text for f in found if f.kind == "other items"]
    assert len([text for text in texts if "1,225 items" in text]) == 2


def test_table_10_mixes_means_over_items_with_means_over_categories(found: list[Finding]) -> None:
    weighted = {row for row, _ in _rows(found, "weighted", "table10_mmrb")}

    assert len(weighted) == 3
    assert all(row.startswith("BaseReward") for row in weighted)
    (mixed,) = [f for f in found if f.kind == "mixed averages"]
    assert mixed.table == "table10_mmrb"
    assert "3 of 17 rows" in mixed.text


def test_copied_and_mistyped_cells_are_found(found: list[Finding]) -> None:
    copied = {row for row, _ in _rows(found, "copied cell", "table5_data_categories")}

    assert copied == {"Others", "Tulu-3", "Olmo-2", "Ultra-Hard"}
    assert ("Critic-RM", "avg") in _rows(found, "average", "table1_paradigm")
    assert len(_rows(found, "not representable", "table8_mmrlhf")) == 3


def test_the_same_training_is_told_with_different_figures(found: list[Finding]) -> None:
    twice = {(f.row, f.column): f.text for f in found if f.kind == "told twice"}

    assert any(
        "3.5 points apart" in text for (_, column), text in twice.items() if column == "mmrlhf_acc"
    )


def test_every_level_names_a_row_that_is_there(paper: Paper) -> None:
    for table in paper.tables.values():
        assert set(table.levels.values()) <= set(table.rows)
        assert set(table.shown) <= set(table.columns)
        assert set(table.columns) <= set(paper.columns)
        widths = {len(cells) for cells in table.rows.values()}
        assert len(widths) == 1


def test_our_arms_stand_beside_the_rows_of_the_same_level(tmp_path: Path) -> None:
    made = make_sweep(
        tmp_path, Recipe(arms=one_axis({"2-silu": 1.0, "linear": 0.3, "odd": 0.5}), items=80)
    )
    with reading(made.ledger, made.store):
        page = open_page(made.sweep_id)

    markdown = show.beside_ours("table2_head", [page]).markdown()
    other = show.beside_ours("table6_backbone", [page]).markdown()

    assert "| 2-silu | 2 layers SiLU | 76.5 (74" in markdown
    assert "| linear | 1 layer |" in markdown
    assert "| odd |" not in markdown
    assert "No sweep named here varies backbone" in other


def test_doubtful_cells_are_marked_and_explained() -> None:
    markdown = show.paper_table("table1_paradigm").markdown()

    assert "60.4\N{DAGGER}" in markdown
    assert "60.4 is not the mean of its cells" in markdown
    assert "70.0 |" in markdown


def test_an_unknown_paper_is_refused() -> None:
    with pytest.raises(InputError, match="there are basereward"):
        load_paper("basereword")
