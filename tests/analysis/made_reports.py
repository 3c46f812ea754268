"""Reports of made sweeps."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.report.writing import Format, ReportResult, write_report
from tests.analysis.made_sweeps import MadeSweep


def report_of(made: MadeSweep, *others: MadeSweep, formats: Sequence[Format]) -> ReportResult:
    """The report of one sweep or of several, below the first one's home."""
    ids = [each.sweep_id for each in (made, *others)]
    path = made.home / "out" / "report.html"
    return write_report(made.ledger, made.store, ids, path, formats=formats)
