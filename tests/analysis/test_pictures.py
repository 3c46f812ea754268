"""Plots as PNG: there where there is something to draw, whatever levels are called."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from analysis.pareto import pareto
from analysis.report.page import SweepPage, build_page
from analysis.report.pictures import ROWS, curves_picture, effects_picture, front_picture
from analysis.tables import read_sweep
from tests.analysis.made_sweeps import Recipe, make_sweep, one_axis


def _page(home: Path, recipe: Recipe) -> SweepPage:
    made = make_sweep(home, recipe)
    return build_page(read_sweep(made.ledger, made.sweep_id, store=made.store))


def test_levels_of_any_name_are_drawn(tmp_path: Path) -> None:
    abilities = {"a": 1.0, r"$\frac{x}$ \N{SNOWMAN}_^": 0.2, "\u5956\u52b1": 1.1}
    page = _page(tmp_path, Recipe(arms=one_axis(abilities), items=60))

    for picture in (effects_picture(page), curves_picture(page)):
        assert Image.open(io.BytesIO(picture)).format == "PNG"


def test_a_picture_of_very_many_levels_stays_one_that_can_be_looked_at(tmp_path: Path) -> None:
    equal = {f"l{number}": 1.0 for number in range(2 * ROWS)}
    few = _page(tmp_path / "few", Recipe(arms=one_axis({"a": 1.0, "b": 0.2}), items=40, seeds=1))
    many = _page(tmp_path / "many", Recipe(arms=one_axis(equal), items=40, seeds=1))

    rows = [Image.open(io.BytesIO(effects_picture(page))).size[1] for page in (few, many)]

    assert rows[0] < rows[1] < 3000


def test_what_has_nothing_to_show_is_no_picture(tmp_path: Path) -> None:
    page = _page(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=40, seeds=1, reported_at=(1.0,)))

    assert effects_picture(page) == b""
    assert curves_picture(page) == b""
    assert front_picture(pareto(page.tables, page.ablation.arms), "test") == b""
