"""What fits into MLflow: names it allows, values as long as it keeps, addresses of its pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from infra.errors import InputError

_LONGEST = {"param": 1000, "tag": 5000, "dataset digest": 36}
_UNFIT = re.compile(r"[^/\w.\- :]")
"""What MLflow does not allow in names of metrics and params."""
_UNFIT_MODEL = re.compile(r"[/:.%\"']")
"""What MLflow does not allow in names of models."""


_TRAINING = "workflowType=machine_learning"
"""Without it MLflow shows its pages for chats and prompts."""


def fit(name: str) -> str:
    """A name of a metric or param without what MLflow does not allow."""
    return _UNFIT.sub("_", name)[:250]


def fit_model(name: str) -> str:
    """A name of a model likewise."""
    return _UNFIT_MODEL.sub("_", name)[:200]


def fit_params(params: Mapping[str, str]) -> dict[str, str]:
    """Params as MLflow takes them."""
    return {fit(name): short(value, "param") for name, value in params.items()}


def short(value: str, kind: str) -> str:
    """A value as long as its kind (`param`, `tag`, `dataset digest`) may be."""
    longest = _LONGEST[kind]
    if len(value) <= longest or kind == "dataset digest":
        return value[:longest]
    return value[: longest - 3] + "..."


def milliseconds(seconds: float) -> int:
    """A time as MLflow counts it."""
    return round(seconds * 1000)


def quoted(text: str) -> str:
    """Text inside a search string's single quotes, which MLflow cannot escape."""
    if "'" in text:
        raise InputError(f"a run's key must not hold a quote, got {text!r}")
    return text


def run_page(experiment: str, run_id: str, artifact: str = "") -> str:
    """Fragment of a run's page, or of a file attached to it."""
    place = f"#/experiments/{experiment}/runs/{run_id}"
    return f"{place}{f'/artifacts/{quote(artifact)}' if artifact else ''}?{_TRAINING}"


def artifact_file(run_id: str, artifact: str) -> str:
    """Address of an attached file's content, beside the pages."""
    return f"get-artifact?path={quote(artifact, safe='')}&run_uuid={run_id}"


def view_page(experiment: str, key: str, *, charts: bool = False) -> str:
    """Fragment of the page that shows a view kept under a key, as a list or as charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"#/experiments/{experiment}/runs?{_TRAINING}&viewStateShareKey={quote(key)}{mode}"


def view_tag(key: str) -> str:
    """Tag of an experiment under which MLflow keeps a view."""
    return f"mlflow.sharedViewState.{key}"


def search_for(tags: Mapping[str, str]) -> str:
    """What finds the runs with these tags."""
    return " and ".join(f"tags.`{name}` = '{quoted(value)}'" for name, value in tags.items())


def runs_page(
    experiment: str, tags: Mapping[str, str], *, best_by: str, lowest_first: bool = False
) -> str:
    """Fragment of the page that lists the runs with these tags, best first.

    Ordered by a metric, since MLflow hides runs below their parents in any list ordered by time.
    """
    asked = {
        "searchFilter": search_for(tags),
        "orderByKey": f"metrics.`{fit(best_by)}`",
        "orderByAsc": str(lowest_first).lower(),
    }
    return f"#/experiments/{experiment}/runs?{_TRAINING}&{urlencode(asked, quote_via=quote)}"
