"""What arithmetic finds wrong with printed tables: nothing here is noted by hand.

A share of 170 items printed as 64.9 cannot be one; an average that is not the average of its row's
cells is another average, or a typing error. What is found is a reason to ask, not a judgement.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.paper_rows import Cell, Paper, PaperTable

SMALLEST_COUNT, LARGEST_COUNT = 20, 199
"""Numbers of items looked for when the stated one does not fit."""
ENOUGH_ROWS = 3
"""Rows that must share a count before it is named; two fit some count by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not fit."""

    kind: str
    table: str
    row: str
    column: str
    text: str


def is_share(cell: Cell, items: int) -> bool:
    """Whether some whole number of the items gives the printed percentage, rounded or cut off."""
    nearest = round(cell.value * items / 100)
    beyond = 100 * nearest / items - cell.value
    return -cell.rounding <= beyond < 2 * cell.rounding


def tells(cell: Cell, items: int) -> bool:
    """Whether a printed percentage could fail to be a share of so many items at all."""
    return 100 / items > 3 * cell.rounding


def check_paper(paper: Paper) -> list[Finding]:
    """All findings, table by table, then those across tables."""
    found: list[Finding] = []
    for table in paper.tables.values():
        found += not_representable(paper, table)
        found += averages(paper, table)
        found += swapped(paper, table)
        found += copied(table)
    return found + told_twice(paper)


def not_representable(paper: Paper, table: PaperTable) -> list[Finding]:
    """Cells that are no share of their benchmark's items."""
    found = []
    for column in table.columns:
        counts = paper.columns[column].items if column in paper.columns else ()
        odd = {
            row: cells[column]
            for row, cells in table.rows.items()
            if column in cells
            and counts
            and all(tells(cells[column], n) and not is_share(cells[column], n) for n in counts)
        }
        common = _common_count(list(odd.values()))
        also = f"; {len(odd)} such rows of this table all fit k/{common}" if common else ""
        listed = " or ".join(f"k/{count:,}" for count in counts)
        found += [
            Finding(
                kind="not representable",
                table=table.key,
                row=row,
                column=column,
                text=f"{cell.text} is not {listed} for any whole k{also}",
            )
            for row, cell in odd.items()
        ]
    return found


def averages(paper: Paper, table: PaperTable) -> list[Finding]:
    """Averages that are not the plain mean of their cells: of another kind, or wrong."""
    found = []
    kinds: dict[str, dict[str, str]] = {}
    for row, cells in table.rows.items():
        for column, facts in paper.columns.items():
            if column not in cells or not facts.mean_of or not set(facts.mean_of) <= set(cells):
                continue
            kind, text = _kind_of_average(
                cells[column], [cells[c] for c in facts.mean_of], facts.weights
            )
            kinds.setdefault(column, {})[row] = kind
            if text:
                found.append(Finding(kind=kind, table=table.key, row=row, column=column, text=text))
    for column, by_row in kinds.items():
        if {"plain", "weighted"} <= set(by_row.values()):
            weighted = [row for row, kind in by_row.items() if kind == "weighted"]
            text = (
                f"{len(weighted)} of {len(by_row)} rows are means over items, the others over "
                "categories; they cannot be compared as printed"
            )
            found.append(
                Finding(
                    kind="mixed averages",
                    table=table.key,
                    row=", ".join(weighted),
                    column=column,
                    text=text,
                )
            )
    return found


def swapped(paper: Paper, table: PaperTable) -> list[Finding]:
    """VL-RewardBench rows whose total only comes out with two columns exchanged."""
    names = ("vlrb_general", "vlrb_hallucination", "vlrb_reasoning")
    found = []
    for row, cells in table.rows.items():
        total = cells.get("vlrb_overall")
        if total is None or total.digits < 2 or not set(names) <= set(cells):
            continue
        general, hallucination, reasoning = (cells[name] for name in names)
        straight = _fitting(paper, total, (general, hallucination, reasoning))
        crossed = _fitting(paper, total, (reasoning, hallucination, general))
        if crossed and not straight:
            text = (
                f"the total {total.text} comes out only if General and Reasoning are exchanged "
                f"(items per category: {crossed[0]})"
            )
            found.append(
                Finding(
                    kind="swapped columns",
                    table=table.key,
                    row=row,
                    column="vlrb_general",
                    text=text,
                )
            )
        fits = straight or crossed
        if fits and "official" not in fits:
            items = sum(paper.vlrb_maps[fits[0]])
            text = f"the total comes out with {items:,} items, categories {fits[0]}"
            found.append(
                Finding(
                    kind="other items", table=table.key, row=row, column="vlrb_overall", text=text
                )
            )
    return found


def copied(table: PaperTable) -> list[Finding]:
    """Reasoning cells that repeat their row's average instead of telling anything."""
    found = []
    for row, cells in table.rows.items():
        average, reasoning = cells.get("vlrb_average"), cells.get("vlrb_reasoning")
        if average is not None and reasoning is not None and average.text == reasoning.text:
            text = f"Reasoning is the row's average {average.text} again: a copied cell"
            found.append(
                Finding(
                    kind="copied cell", table=table.key, row=row, column="vlrb_reasoning", text=text
                )
            )
    return found


def told_twice(paper: Paper) -> list[Finding]:
    """Figures of the same training that differ from table to table."""
    found = []
    for same in paper.nominally_the_same:
        told: dict[str, list[tuple[str, float]]] = {}
        for key, row in same["rows"]:
            for column, cell in paper.tables[key].rows[row].items():
                names = [name for name, members in paper.same_columns.items() if column in members]
                told.setdefault(names[0] if names else column, []).append((key, cell.value))
        for column, figures in told.items():
            values = sorted({value for _, value in figures})
            if len(values) > 1 and len({key for key, _ in figures}) > 1:
                text = (
                    f"{same['what']}: {' and '.join(f'{value:g}' for value in values)}, "
                    f"{values[-1] - values[0]:.1f} points apart"
                )
                tables = ", ".join(dict.fromkeys(key for key, _ in figures))
                found.append(
                    Finding(
                        kind="told twice", table=tables, row=same["what"], column=column, text=text
                    )
                )
    return found


def _kind_of_average(total: Cell, parts: Sequence[Cell], weights: Sequence[int]) -> tuple[str, str]:
    plain = sum(part.value for part in parts) / len(parts)
    # Each part may be off by its own rounding.
    slack = total.rounding + max(part.rounding for part in parts)
    if abs(plain - total.value) <= slack:
        return "plain", ""
    if weights:
        weighted = sum(w * part.value for w, part in zip(weights, parts, strict=True)) / sum(
            weights
        )
        # The split of the items over the categories is itself a fit.
        if abs(weighted - total.value) <= slack + 0.2:
            return (
                "weighted",
                f"{total.text} is the mean over items; over categories it is {plain:.1f}",
            )
    return "average", f"{total.text} is not the mean of its cells, {plain:.1f}"


def _fitting(paper: Paper, total: Cell, parts: Sequence[Cell]) -> list[str]:
    """Names of the category maps with which whole counts give the cells and the total."""
    fitting = []
    for name, counts in paper.vlrb_maps.items():
        right = [round(cell.value * count / 100) for cell, count in zip(parts, counts, strict=True)]
        cells_fit = all(is_share(cell, count) for cell, count in zip(parts, counts, strict=True))
        if cells_fit and abs(100 * sum(right) / sum(counts) - total.value) <= total.rounding:
            fitting.append(name)
    return fitting


def _common_count(cells: Sequence[Cell]) -> int | None:
    if len(cells) < ENOUGH_ROWS:
        return None
    counts = itertools.chain(range(SMALLEST_COUNT, LARGEST_COUNT + 1))
    return next((n for n in counts if all(is_share(cell, n) for cell in cells)), None)
