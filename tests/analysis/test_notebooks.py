"""Notebooks: open in Jupyter as they are, run as they are, and leave nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.getipython import get_ipython

from analysis.report.notebook import SHIPPED, execute, notebook_path
from analysis.report.writing import write_report
from infra.errors import InputError, MissingError
from tests.analysis.made_sweeps import MadeSweep, Recipe, make_sweep, one_axis

NOTEBOOKS = sorted(SHIPPED.glob("*.ipynb"))


def _notebook(path: Path, *sources: str) -> Path:
    first = nbformat.v4.new_code_cell(
        'sweeps = ["?"]\nbenchmark = ""', metadata={"tags": ["parameters"]}
    )
    cells = [first, *map(nbformat.v4.new_code_cell, sources)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


@pytest.fixture
def made(tmp_path: Path) -> MadeSweep:
    return make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.4}), items=80))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_shipped_notebook_has_a_parameters_cell_and_no_outputs(path: Path) -> None:
    node = nbformat.read(path, as_version=4)

    nbformat.validate(node)
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    assert code[0].metadata.tags == ["parameters"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert node.metadata.kernelspec.name == "python3"
    assert node.cells[0].cell_type == "markdown"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_shipped_notebook_makes_a_report(path: Path, made: MadeSweep) -> None:
    result = write_report(
        made.ledger, made.store, [made.sweep_id], made.home / "r.html", notebook=path.stem
    )

    html = result.path.read_text()
    assert made.sweep_id in html
    assert "<h2" in html


def test_ones_own_notebook_shows_whatever_its_cells_show(made: MadeSweep, tmp_path: Path) -> None:
    own = _notebook(
        tmp_path / "own.ipynb",
        "from analysis.notebook_api import open_page, show\npage = open_page(sweeps[0])",
        "print('so <many>:', len(page.tables.arms))",
        "page.tables.arms[['arm']]",
        "show.text('mine', 'My own <section>', prose=['It is -1 & <b>.'])",
    )

    result = write_report(
        made.ledger, made.store, [made.sweep_id], tmp_path / "r.html", notebook=own
    )

    html = result.path.read_text()
    assert "so &lt;many&gt;: 2" in html
    assert 'class="dataframe"' in html
    assert "My own &lt;section&gt;" in html
    assert "&lt;b&gt;" in html


def test_a_cell_that_fails_is_named_and_ours_keep_their_kind(
    made: MadeSweep, tmp_path: Path
) -> None:
    fails = _notebook(tmp_path / "fails.ipynb", "1 / 0")
    missing = _notebook(
        tmp_path / "missing.ipynb", "from analysis.notebook_api import open_page\nopen_page('nine')"
    )

    with pytest.raises(InputError, match=r"cell 3 of .*fails\.ipynb failed: ZeroDivisionError"):
        write_report(made.ledger, made.store, ["reward-head"], tmp_path / "r", notebook=fails)
    with pytest.raises(MissingError, match="no sweep is called 'nine'"):
        write_report(made.ledger, made.store, ["reward-head"], tmp_path / "r", notebook=missing)


@pytest.mark.parametrize("content", ["", "{}", "no notebook", '{"cells": 3}'])
def test_what_is_no_notebook_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.ipynb"
    path.write_text(content)

    with pytest.raises(InputError, match=r"odd\.ipynb is no notebook"):
        execute(path, {"sweeps": []})


def test_an_unknown_notebook_is_told_what_there_is() -> None:
    with pytest.raises(InputError, match="there are ablation, compare_sweeps, ensemble"):
        notebook_path("ablatoin")


def test_executing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    before: list[Any] = [sys.displayhook, sys.excepthook, sys.modules["__main__"]]

    executed = execute(
        _notebook(tmp_path / "one.ipynb", "value = sweeps[0]\nvalue"), {"sweeps": ["x"]}
    )

    assert "'x'" in str(list(executed.outputs()))
    assert [sys.displayhook, sys.excepthook, sys.modules["__main__"]] == before
    assert get_ipython() is None
    assert [path.name for path in tmp_path.iterdir()] == ["one.ipynb"]
