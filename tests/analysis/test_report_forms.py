"""A report's other forms, and what a hostile or huge sweep does to each of them."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexGroupNode, LatexWalker

from analysis.report import sections
from analysis.report.page import build_page
from analysis.report.text_tables import TextTable, latex_text, markdown_text
from analysis.report.writing import ReportResult
from analysis.tables import read_sweep
from tests.analysis.made_reports import report_of
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep, one_axis

HOSTILE = "\\input{/etc/passwd}|x](javascript:alert(1))<img src=x onerror=y>`_*$%&#~^{}\n\n# h"


def _all_forms(made: MadeSweep, *others: MadeSweep) -> ReportResult:
    return report_of(made, *others, formats=["html", "markdown", "latex", "notebook"])


def test_every_form_is_written_beside_the_page_and_kept_in_the_store(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.2}), items=80))

    result = _all_forms(made)

    assert [path.suffix for path in result.paths] == [".html", ".md", ".tex", ".ipynb"]
    markdown, latex = result.paths[1].read_text(), result.paths[2].read_text()
    assert "## What is not known" in markdown
    assert "| head=b | head=a |" in markdown
    assert r"\toprule" in latex
    assert r"head=b & head=a & $-$" in latex
    node = nbformat.read(result.paths[3], as_version=4)
    assert made.sweep_id in node.cells[2].source
    assert not any(cell.get("outputs") for cell in node.cells)
    kept = made.ledger.publications(made.sweep_id)[-1].payload["files"]
    assert sorted(kept) == [
        "curves.png", "effects.png", "front.png", "report.html", "report.ipynb", "report.md",
        "report.tex", "verdicts.json",
    ]  # fmt: skip
    assert all(made.store.exists(key) for key in kept.values())


def test_a_report_leaves_plots_and_verdicts_for_a_tracker(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.2, "c": 1.0}), items=200))

    _all_forms(made)

    kept = made.ledger.publications(made.sweep_id)[-1].payload["files"]
    for name in ("effects.png", "curves.png", "front.png"):
        assert Image.open(io.BytesIO(made.store.read(kept[name]))).size[0] > 700
    said = json.loads(made.store.read(kept["verdicts.json"]))
    assert said["baseline"] == "baseline"
    assert list(said["arms"]) == ["head=b", "head=c"]
    assert said["arms"]["head=b"]["verdict"] == "worse in general"
    assert said["arms"]["head=c"]["verdict"] == "not distinguishable"
    assert said["arms"]["head=b"]["interval"][1] < 0


def test_a_hostile_level_is_text_in_every_form(tmp_path: Path) -> None:
    arms = [
        MadeArm(name="baseline", point={"head": "a"}),
        MadeArm(name=f"head={HOSTILE}", point={"head": HOSTILE}, ability=0.3),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, question=HOSTILE, items=80))

    result = _all_forms(made)

    html, markdown, latex = (path.read_text() for path in result.paths[:3])
    assert "<img src=x" not in html
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    assert "<img" not in rendered
    assert 'href="javascript' not in rendered
    assert "onerror=y&gt;" in rendered
    assert r"\input" not in latex
    assert not re.search(
        r"(?<!\\)[$&#_%~^](?=[\w{}])", latex.replace("$-$", "").replace(" & ", " ")
    )


@pytest.mark.slow
def test_names_of_ten_megabytes_make_a_page_one_can_open(tmp_path: Path) -> None:
    huge = "n<b>" * 2_500_000
    arms = [
        MadeArm(name="baseline", point={"head": "a"}),
        MadeArm(name=f"head={huge}", point={"head": huge}, ability=0.3),
        MadeArm(name=f"head={huge[:200]}2", point={"head": f"{huge[:200]}2"}, ability=0.5),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, question=huge, items=40, seeds=1))

    result = _all_forms(made)

    assert result.size_bytes < 1_000_000
    assert all(path.stat().st_size < 1_000_000 for path in result.paths)
    assert result.paths[1].read_text().count("\N{HORIZONTAL ELLIPSIS} ") > 2


def test_a_sweeps_own_name_is_cut_and_escaped_in_every_form(tmp_path: Path) -> None:
    """A sweep file may not name it so (63 plain letters); another writer of the ledger may."""
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=40, seeds=1))
    tables = read_sweep(made.ledger, made.sweep_id)
    named = replace(tables.sweep, name="n<b>" * 2_500_000)
    page = build_page(replace(tables, sweep=named))

    shown = [sections.summary(page), sections.reproduce(page), sections.reproduce(page, many=True)]

    for section in shown:
        assert "n&lt;b&gt;n" in section.html
        assert "<b>" not in section.html
        rendered = (
            MarkdownIt("commonmark", {"html": True}).enable("table").render(section.markdown())
        )
        assert "n&lt;b&gt;n" in rendered
        assert "<b>" not in rendered
        assert len(section.markdown()) < 10_000
        assert len(section.html) < 100_000
        assert len(section.title) < 200


@pytest.mark.slow
def test_a_page_of_very_many_arms_shows_the_best_and_markdown_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.report.sections.MANY", 5)
    abilities = {f"level-{number:02d}": 0.2 + number / 10 for number in range(12)}
    made = make_sweep(tmp_path, Recipe(arms=one_axis(abilities), items=40, seeds=1))

    result = _all_forms(made)

    html = result.paths[0].read_text()
    assert "The best 5 of 12 arms on validation" in html
    assert "The first 5 of 11 levels" in html
    assert result.paths[1].read_text().count("| head=level-") > 20


def test_of_very_many_axes_those_with_a_finding_are_open(tmp_path: Path) -> None:
    home = {f"axis{number}": "0" for number in range(14)}
    arms = [
        MadeArm(name=f"{axis}=1", point=home | {axis: "1"}, ability=-0.5 if axis == "axis3" else 1)
        for axis in home
    ]
    recipe = Recipe(arms=[MadeArm(name="baseline", point=home), *arms], items=120, seeds=4)

    html = _all_forms(make_sweep(tmp_path, recipe)).paths[0].read_text()

    assert '<details class="axis" open><summary>axis3: 1 level, 1 told apart' in html
    assert html.count(": 1 level, none told apart</summary>") == 13


@given(st.text())
def test_any_text_stays_in_its_cell(text: str) -> None:
    table = TextTable(caption=text, head=["a", "b"], rows=[[text, "end"]], notes=[text])

    lines = table.markdown().splitlines()
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(table.markdown())

    assert lines[2].endswith("| end |")
    assert rendered.count("<td>") == 2
    assert "<script" not in rendered.lower()
    assert len(table.latex().splitlines()) == 13
    assert "\n" not in latex_text(text) + markdown_text(text)


@given(st.text())
@example(HOSTILE)
@example("\\end{tabular}")
def test_latex_with_any_text_parses_as_one_table_with_its_rows(text: str) -> None:
    table = TextTable(caption=text, head=["a", "b"], rows=[[text, "end"]], notes=[text], label=text)

    nodes, _, _ = LatexWalker(table.latex(), tolerant_parsing=False).get_latex_nodes()

    (outer,) = (node for node in nodes if isinstance(node, LatexEnvironmentNode))
    (inner,) = (
        node
        for group in outer.nodelist
        if isinstance(group, LatexGroupNode)
        for node in group.nodelist
        if isinstance(node, LatexEnvironmentNode)
    )
    assert (outer.environmentname, inner.environmentname) == ("table", "tabular")
    body = inner.latex_verbatim()
    assert len(re.findall(r"(?<!\\)&", body)) == 2  # one between the cells of each row


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX is installed")
@pytest.mark.parametrize("text", [HOSTILE, "a level of several words, which are broken"])
def test_tables_compile_and_are_no_wider_than_the_text(text: str, tmp_path: Path) -> None:
    wide = TextTable(
        caption=text,
        head=["level", *(f"interval number {number}" for number in range(12))],
        rows=[[text, *["\N{MINUS SIGN}14.4 to +4.1"] * 12], ["\\end{tabular}", *["~"] * 12]],
        right=range(1, 13),
        notes=["50 % \N{LESS-THAN OR EQUAL TO} 1"],
        label="a b_c",
    )
    packages = r"\usepackage[T1]{fontenc}\usepackage{array,booktabs,graphicx}"
    page = rf"\documentclass{{article}}{packages}\begin{{document}}{wide.latex()}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)

    ran = subprocess.run(
        ["pdflatex", "-halt-on-error", "page.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout[-2000:]
    assert text == HOSTILE or "Overfull" not in ran.stdout  # it has words wider than a column


@pytest.mark.parametrize("text", ["a_b", "50%", "x & y", "{}", "\\end{document}", "#1", "~^"])
def test_latex_sees_no_command_in_text(text: str) -> None:
    escaped = latex_text(text)

    known = r"\\(textbackslash|textasciitilde|textasciicircum)\{\}|\\[{}$&#_%]"
    assert not re.search(r"[\\{}$&#_%~^]", re.sub(known, "", escaped))
