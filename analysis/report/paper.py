"""Sections of the `paper_tables` notebook: printed tables with their defects, beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from statsmodels.stats.proportion import proportion_confint

from analysis.paper_checks import Finding, check_paper
from analysis.paper_rows import Cell, Paper, PaperTable, load_paper
from analysis.report.page import SweepPage
from analysis.report.sections import Section, text
from analysis.report.text_tables import TextTable
from analysis.report.words import accuracy_text, points

MARKS = "\N{DAGGER}"
"""Beside a cell that something is wrong with; the findings say what."""


def paper_overview(name: str = "basereward") -> Section:
    """What the tables are, where they are from, and what is known of all of them."""
    paper = load_paper(name)
    return text(
        "paper",
        paper.title,
        prose=[
            f"{paper.address}, {paper.date}. {paper.transcribed}",
            *paper.known,
            f"Cells marked {MARKS} do not fit their row, their column or another table; intervals "
            "are Wilson's at 95%, for new items: what another training gives was not measured.",
        ],
    )


def paper_table(key: str, name: str = "basereward") -> Section:
    """One printed table, its doubtful cells marked and explained."""
    paper, found = load_paper(name), [f for f in _findings(name) if f.table == key]
    table = paper.tables[key]
    marked = {(row, f.column) for f in found for row in f.row.split(", ")} | {
        (f.row, f.column) for f in found
    }
    rows = [
        [
            label,
            *(
                _printed(paper, column, cells.get(column), doubtful=(label, column) in marked)
                for column in table.columns
            ),
        ]
        for label, cells in table.rows.items()
    ]
    return text(
        f"paper-{key}",
        table.title,
        tables=[
            TextTable(
                caption=f"{table.title}, in percent, as printed.",
                head=["row", *(paper.column_name(column) for column in table.columns)],
                rows=rows,
                right=tuple(range(1, len(table.columns) + 1)),
                label=f"paper-{key}",
            ),
            *_findings_table(paper, found),
        ],
    )


def paper_noise(name: str = "basereward") -> Section:
    """Rows that describe the same training and differ: the paper's own estimate of its noise."""
    paper = load_paper(name)
    found = [f for f in _findings(name) if f.kind == "told twice"]
    rows = [[f.row, paper.column_name(f.column), f.text.partition(": ")[2], f.table] for f in found]
    table = TextTable(
        caption="The same training by name, with different figures.",
        head=["training", "column", "figures", "tables"],
        rows=rows,
        label="paper-noise",
    )
    said = (
        "How far two trainings of one recipe lie apart was not reported. These rows tell it by "
        "accident; most gaps of the ablation tables are not larger."
    )
    return text("paper-noise", "What the same training gives twice", prose=[said], tables=[table])


def beside_ours(key: str, pages: Sequence[SweepPage], name: str = "basereward") -> Section:
    """A printed table's rows beside the arms of our sweeps that have the same level."""
    paper = load_paper(name)
    table = paper.tables[key]
    rows = [row for page in pages for row in _ours(paper, table, page)]
    title = f"{table.title}, beside ours"
    if not rows:
        said = (
            f"No sweep named here varies {table.axis or 'what this table varies'} at these levels."
        )
        return text(f"ours-{key}", title, prose=[said])
    benchmarks = sorted({page.ablation.benchmark for page in pages if page.ablation.benchmark})
    return text(
        f"ours-{key}",
        title,
        tables=[
            TextTable(
                caption=(
                    f"The paper's rows and ours. Ours are on {', '.join(benchmarks)}, other items "
                    "than the paper's: the order can be compared, the figures cannot."
                ),
                head=[
                    "level", "paper's row", *(paper.column_name(column) for column in table.shown),
                    "ours", "against our baseline", "verdict", "sweep",
                ],
                rows=rows,
                right=tuple(range(2, len(table.shown) + 4)),
                label=f"ours-{key}",
            )
        ],
    )  # fmt: skip


@cache
def _findings(name: str) -> tuple[Finding, ...]:
    return tuple(check_paper(load_paper(name)))


def _findings_table(paper: Paper, found: Sequence[Finding]) -> list[TextTable]:
    if not found:
        return []
    rows = [[f.kind, f.row, paper.column_name(f.column), f.text] for f in found]
    head = ["what", "row", "column", "why"]
    return [TextTable(caption="What does not fit.", head=head, rows=rows)]


def _printed(paper: Paper, column: str, cell: Cell | None, *, doubtful: bool) -> str:
    if cell is None:
        return ""
    facts = paper.columns.get(column)
    interval = ""
    if facts is not None and facts.items:
        low, high = proportion_confint(
            cell.value / 100 * facts.items[0], facts.items[0], method="wilson"
        )
        interval = f" ({100 * low:.0f}\N{EN DASH}{100 * high:.0f})"
    return f"{cell.text}{MARKS if doubtful else ''}{interval}"


def _ours(paper: Paper, table: PaperTable, page: SweepPage) -> list[list[str]]:
    rows = []
    points_of = {row.name: row.point for row in page.tables.arm_rows}
    for arm in page.ablation.arms:
        level = points_of[arm.arm].get(table.axis or "")
        label = table.levels.get(level or "")
        varied = arm.axis == table.axis or arm.arm == page.ablation.baseline
        if label is None or not varied or arm.accuracy is None:
            continue
        effect = arm.against_baseline
        held = effect.comparison if effect is not None else None
        rows.append(
            [
                str(level),
                label,
                *(
                    _printed(paper, c, table.rows[label].get(c), doubtful=False)
                    for c in table.shown
                ),
                accuracy_text(arm.accuracy),
                points(held.difference) if held is not None else "baseline",
                effect.verdict.text if effect is not None and effect.verdict is not None else "",
                page.tables.sweep_id,
            ]
        )
    return rows
