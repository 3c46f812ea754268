"""`Tracker`: a place that shows runs in a tree, each with tags, params, metrics and artifacts.

What is written twice stays single: runs are found again by their key, params are set once, and a
metric point is told apart by name, step and time. So a writer may repeat itself after a failure.
Implementations: `MlflowTracker` in `infra.mlflow_tracker`, `NullTracker` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

RunStatus = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]


class MetricPoint(NamedTuple):
    """One value of one metric."""

    name: str
    value: float
    step: int
    time: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a run is, apart from how it goes."""

    key: str
    """Names the run for ever; at most one run of an experiment has it."""
    name: str
    """What a page shows."""
    parent_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    """Set once: a param the run has already is left as it is."""
    started: float | None = None
    """Seconds since 1970; now when absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A trained model whose weights lie elsewhere."""

    key: str
    """Names the model for ever; at most one of a place has it."""
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Some runs side by side, as a page shows them: in a list with columns, or in charts."""

    key: str
    """Names the view for ever."""
    tags: Mapping[str, str]
    """The runs that have these."""
    best_by: str
    """The metric that orders them."""
    lowest_first: bool = False
    """Whether a smaller value is better."""
    params: Sequence[str]
    metrics: Sequence[str]
    described: bool = False
    """Whether the list shows how runs are described."""
    curves: Sequence[str] = ()
    """Metrics that are drawn as lines; the others are bars."""


class Tracker(Protocol):
    """Where runs are shown.

    Methods raise `StoreError` when it may work later, `InputError` when the place will never take
    what it was given.
    """

    @property
    def uri(self) -> str:
        """Its address, without password; names the reader's cursor."""
        ...

    def ensure_run(self, facts: RunFacts) -> str:
        """The id of the run with this key, made (below its parent) when there is none."""
        ...

    def preload(self, key_prefix: str) -> None:
        """Look up the runs with such keys at once; from then on nobody else makes any."""
        ...

    def log_metrics(self, run_id: str, points: Sequence[MetricPoint]) -> None:
        """Add points; those that are there already are not doubled."""
        ...

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags."""
        ...

    def log_dataset(self, run_id: str, name: str, digest: str, context: str) -> None:
        """Say that a run used this data; `context` is `training` or `evaluation`."""
        ...

    def log_artifact(self, run_id: str, name: str, data: bytes) -> None:
        """Put a file beside a run, replacing one of that name (which may hold `/`)."""
        ...

    def register_model(
        self, run_id: str, model: ModelFacts, figures: Sequence[MetricPoint]
    ) -> None:
        """List a model that a run has made, with its figures; once, whoever asks again."""
        ...

    def describe(self, text: str, views: Sequence[View] = ()) -> None:
        """Say in Markdown what this place holds and how to look at it, and keep views of it."""
        ...

    def page(self, run_id: str, artifact: str = "") -> str:
        """Where a run, or a file attached to it, is shown; a link for descriptions."""
        ...

    def picture(self, run_id: str, artifact: str) -> str:
        """Where an attached picture itself lies, for descriptions that show it."""
        ...

    def found_page(
        self, tags: Mapping[str, str], *, best_by: str, lowest_first: bool = False
    ) -> str:
        """Where the runs with these tags are listed by a metric; a link likewise."""
        ...

    def view_page(self, key: str, *, charts: bool = False) -> str:
        """Where a view that was kept is shown as a list or as charts; a link likewise."""
        ...

    def set_status(self, run_id: str, status: RunStatus, ended: float | None = None) -> None:
        """Say how a run stands; `ended` in seconds since 1970 for one that is over."""
        ...


class NullTracker:
    """Shows nothing."""

    uri = "null:"

    def ensure_run(self, facts: RunFacts) -> str:
        """The key itself."""
        return facts.key

    def preload(self, key_prefix: str) -> None:
        """Nothing."""

    def log_metrics(self, run_id: str, points: Sequence[MetricPoint]) -> None:
        """Nothing."""

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Nothing."""

    def log_dataset(self, run_id: str, name: str, digest: str, context: str) -> None:
        """Nothing."""

    def log_artifact(self, run_id: str, name: str, data: bytes) -> None:
        """Nothing."""

    def register_model(
        self, run_id: str, model: ModelFacts, figures: Sequence[MetricPoint]
    ) -> None:
        """Nothing."""

    def describe(self, text: str, views: Sequence[View] = ()) -> None:
        """Nothing."""

    def page(self, run_id: str, artifact: str = "") -> str:
        """Nowhere."""
        del run_id, artifact
        return ""

    def picture(self, run_id: str, artifact: str) -> str:
        """Nowhere."""
        del run_id, artifact
        return ""

    def found_page(
        self, tags: Mapping[str, str], *, best_by: str, lowest_first: bool = False
    ) -> str:
        """Nowhere."""
        del tags, best_by, lowest_first
        return ""

    def view_page(self, key: str, *, charts: bool = False) -> str:
        """Nowhere."""
        del key, charts
        return ""

    def set_status(self, run_id: str, status: RunStatus, ended: float | None = None) -> None:
        """Nothing."""
