"""How figures are named and charted in a tracker; no I/O.

MLflow puts metrics together that share a name up to its last slash, and draws one as a line as
soon as it has a step; what has no course stays at step zero and is drawn as bars.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from infra.tracking import MetricPoint, View
from sweep.records.describing import lowest_is_best, objective_name
from sweep.records.rows import ReportView, SweepRow, TrialView

FINAL = 0
"""Step of what has no course."""
THOUSANDTHS = 1000
VIEWED = 5
"""Metrics of a view of arms."""


def shown(name: str) -> str:
    """A metric's name in charts, which stand together up to the last slash: slices stand apart.

    Accuracy by category is `slices/<benchmark>/category/<category>`, by source it is under
    `source`; how many pairs a slice has stands under `category_pairs` and `source_pairs`.
    """
    part = re.fullmatch(r"eval/([^/]+)/(accuracy|pairs)_(category|source)_(.+)", name, re.DOTALL)
    if part is None:
        return name
    benchmark, figure, kind, named = part.groups()
    return f"slices/{benchmark}/{kind}{'_pairs' if figure == 'pairs' else ''}/{named}"


def by_progress(name: str, value: float, report: ReportView) -> list[MetricPoint]:
    """The same figure by share of the training, so that arms of other lengths lie side by side."""
    if name != "train/loss" and (not name.startswith("eval/") or shown(name) != name):
        return []
    step = round(THOUSANDTHS * report.fraction)
    return [MetricPoint(f"by_progress/{name}", value, step, report.time)]


def arms_view(sweep: SweepRow, members: Mapping[str, Sequence[TrialView]]) -> View:
    """The arms of a sweep over its axes: what a report says of them, the objective, accuracies."""
    measured = {name for trials in members.values() for trial in trials for name in trial.metrics}
    objective = shown(objective_name(sweep))
    others = sorted(name for name in measured if re.fullmatch(r"eval/[^/]+/accuracy", name))
    return View(
        key=sweep.sweep_id,
        tags={"sweep.id": sweep.sweep_id, "sweep.kind": "arm"},
        best_by=objective,
        lowest_first=lowest_is_best(sweep),
        params=list(sweep.spec_json.get("axes") or {}),
        metrics=list(dict.fromkeys([objective, *others]))[:VIEWED],
        described=True,  # by what a report says of it: tags would stand behind all axes
        curves=[f"by_progress/{name}" for name in (objective, "train/loss")],
    )
