"""A view as MLflow keeps it: what its pages call the state of a shared view, as JSON in a tag.

The form is MLflow's own and follows its version. Invariant: what it does not know it ignores, and
a view that would not fit into a tag is cut, from the end of what it shows.
"""

from __future__ import annotations

import json
from typing import Any

from infra.mlflow_names import fit, search_for
from infra.tracking import View

LONGEST = 5000
"""Letters of a tag."""
_AXES, _FIGURES = "axes", "figures"


def view_state(view: View) -> str:
    """The view as the value of its tag."""
    params = [fit(name) for name in view.params]
    while len(state := json.dumps(_state(view, params))) > LONGEST and params:
        params.pop()
    return state


def _state(view: View, params: list[str]) -> dict[str, Any]:
    metrics = [fit(name) for name in view.metrics]
    return {
        "searchFilter": search_for(view.tags),
        "orderByKey": f"metrics.`{fit(view.best_by)}`",
        "orderByAsc": view.lowest_first,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [
            *(["attributes.`Description`"] if view.described else []),
            *(f"metrics.`{name}`" for name in metrics),
            *(f"params.`{name}`" for name in params),
        ],
        "runsHiddenMode": "SHOWALL",
        "isAccordionReordered": True,  # else MLflow puts this section below its own
        # As wide as the page: eight axes do not fit into a third of it.
        "compareRunSections": [_section(_AXES, "The sweep", 1), _section(_FIGURES, "Figures", 3)],
        "compareRunCharts": _charts(view, params, metrics),
    }


def _section(key: str, name: str, columns: int) -> dict[str, Any]:
    return {
        "uuid": key, "name": name, "columns": columns, "display": True, "isReordered": True,
        "deleted": False, "isGenerated": False,
    }  # fmt: skip


def _charts(view: View, params: list[str], metrics: list[str]) -> list[dict[str, Any]]:
    charts: list[dict[str, Any]] = []
    if params:
        charts.append(
            {"type": "PARALLEL", "selectedParams": params, "selectedMetrics": metrics[:1],
             "showAllRuns": True}
        )  # fmt: skip
    charts += [{"type": "BAR", "metricKey": name, "displayName": name} for name in metrics]
    charts += [
        {"type": "LINE", "metricKey": name, "selectedMetricKeys": [name], "xAxisKey": "step",
         "displayName": name}
        for name in map(fit, view.curves)
    ]  # fmt: skip
    shared = {"runsCountToCompare": 30, "deleted": False, "isGenerated": False}
    return [
        {
            **chart,
            **shared,
            "metricSectionId": _AXES if chart["type"] == "PARALLEL" else _FIGURES,
            "uuid": f"chart-{number}",
        }
        for number, chart in enumerate(charts)
    ]
