"""Sections that weigh a sweep: shown where it bears them, absent where it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analysis import show
from analysis.report.page import SweepPage, build_page
from analysis.tables import read_sweep
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep, one_axis


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> SweepPage:
    """Three heads, two scales, two mixes; scale decides."""
    arms = [
        MadeArm(
            name="baseline" if (head, scale, mix) == ("a", "xs", "m") else f"{head},{scale},{mix}",
            point={"head": head, "scale": scale, "mix": mix},
            ability=(0.4 if scale == "xs" else 1.4) + (0.1 if head == "b" else 0.0),
        )
        for head in ("a", "b", "<i>c")
        for scale in ("xs", "s")
        for mix in ("m", "n")
    ]
    made = make_sweep(
        tmp_path_factory.mktemp("grid"), Recipe(arms=arms, items=200, seeds=2, reported_at=(1.0,))
    )
    return build_page(read_sweep(made.ledger, made.sweep_id, store=made.store))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SweepPage:
    """One axis, one seed."""
    made = make_sweep(
        tmp_path_factory.mktemp("small"), Recipe(arms=one_axis({"a": 1.0}), items=40, seeds=1)
    )
    return build_page(read_sweep(made.ledger, made.sweep_id, store=made.store))


def test_the_axis_that_decides_comes_first(grid: SweepPage) -> None:
    markdown = show.importance(grid).markdown()

    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert rows[2].startswith("| scale |")
    assert "look at p first" in markdown


def test_interactions_are_shown_for_a_grid(grid: SweepPage) -> None:
    markdown = show.interactions(grid).markdown()

    assert "| head x scale |" in markdown
    assert "share of variance" in markdown


def test_the_front_is_drawn_named_and_escaped(grid: SweepPage) -> None:
    section = show.cost_front(grid)

    assert section.html.count("<svg") == 1
    assert "NaN" not in section.html
    assert "<i>c" not in section.html
    assert "On the front, cheapest first: " in section.markdown()
    assert "beaten by" in section.markdown()


def test_sanity_says_what_was_looked_for(grid: SweepPage) -> None:
    section = show.sanity(grid)

    said = section.markdown()
    assert "Confidence" in said
    assert "Without a formula" in said
    reliability = said.partition("Reliability")[2].partition("Confidence")[0]
    assert [row for row in reliability.splitlines() if row.startswith("| 10 |")]
    assert "ECE" in section.latex()


@pytest.mark.parametrize(
    "section", [show.importance, show.interactions, show.cost_front], ids=["1", "2", "3"]
)
def test_what_a_sweep_does_not_bear_is_not_shown(
    section: Callable[[SweepPage], show.Section], small: SweepPage
) -> None:
    assert section(small).html == ""
    assert section(small).markdown() == ""
