"""Shipped notebooks in a kernel of Jupyter's own, as somebody who opens them runs them."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from analysis.report.notebook import SHIPPED
from analysis.report.sections import MIME
from tests.analysis.made_sweeps import Recipe, make_sweep, one_axis


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_shipped_notebook_runs_in_jupyter_with_nothing_but_a_home(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    demo = Recipe(name="demo", arms=one_axis({"a": 1.0, "b": 0.4}), items=80)
    made = make_sweep(home, demo)
    make_sweep(home, Recipe(arms=one_axis({"c": 0.9, "d": 0.5}), items=80), ledger=made.ledger)
    monkeypatch.setenv("RMSWEEP_HOME", str(home))
    notebook = nbformat.read(path, as_version=4)

    NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(elsewhere)}}
    ).execute()

    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any(MIME in output.get("data", {}) for output in shown)
    assert not [output for output in shown if output.output_type == "error"]
    assert not list(elsewhere.iterdir())
