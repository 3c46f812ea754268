"""What figures of a report rest on stands beside them, in every form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.ensembles.choosing import choose_ensemble
from analysis.report import sections
from analysis.report.page import SweepPage, build_page
from analysis.tables import read_sweep
from tests.analysis.made_sweeps import Recipe, make_sweep, one_axis


@pytest.fixture
def page(tmp_path: Path) -> SweepPage:
    """Of arms alike but for chance, which an ensemble improves on."""
    recipe = Recipe(arms=one_axis({"a": 1.0, "b": 0.9}), own_noise=1.2)
    made = make_sweep(tmp_path, recipe)
    return build_page(read_sweep(made.ledger, made.sweep_id))


def _forms(section: sections.Section) -> tuple[str, str, str]:
    """HTML, Markdown and LaTeX without what each of them marks up with."""
    forms = section.html.striptags(), section.markdown(), section.latex()
    html, markdown, latex = (re.sub(r"\s+", " ", form) for form in forms)
    return html, markdown, latex.replace("\\%", "%")


def test_the_ensemble_section_tells_how_alike_members_err(page: SweepPage) -> None:
    spread = choose_ensemble([page.tables]).diversity

    forms = _forms(sections.ensemble(page))

    assert spread is not None
    assert spread.error_correlation is not None
    for form in forms:
        assert f"correlation {spread.error_correlation:.2f}, both wrong on" in form
