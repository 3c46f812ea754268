"""Runs in MLflow; the only module that imports it.

A run is found by its tag `sweep.key`, so a new process goes on with the runs of the one before. No
call stalls: a server that does not answer is given up within seconds, as `StoreError`.
"""

# ruff: noqa: E402 -- MLflow reads some of its settings when it is imported

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from infra import mlflow_environment

# Read by MLflow when it is imported or at each call; what the user has set stays.
for _name, _value in mlflow_environment.DEFAULTS.items():
    os.environ.setdefault(_name, _value)

import requests
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from infra import mlflow_names as names
from infra.errors import InputError, StoreError
from infra.mlflow_errors import mlflow_error
from infra.mlflow_views import view_state
from infra.settings import load_settings, masked
from infra.tracking import MetricPoint, ModelFacts, RunFacts, RunStatus, View

KEY_TAG = "sweep.key"
_OURS_TAG = "sweep.described"
_NOTE_TAG = "mlflow.note.content"
_KIND_TAG = "mlflow.experimentKind"
_EXTERNAL_TAG = "mlflow.model.isExternal"
_METRICS_PER_BATCH = 1000
_PARAMS_PER_BATCH = 100
_RUNS_PER_PAGE = 1000
_QUIET = {
    "mlflow": logging.WARNING,
    "alembic": logging.WARNING,
    "urllib3.connectionpool": logging.ERROR,  # every retry at a server that is down
}


class MlflowTracker:
    """One experiment of an MLflow server or database."""

    def __init__(self, uri: str, experiment: str, artifact_uri: str | None = None) -> None:
        """Connect; make the database's tables and the experiment when there are none.

        Args:
            uri: `http(s)://SERVER`, or a database such as `sqlite:///FILE`.
            experiment: Name of the experiment.
            artifact_uri: Where artifacts go when `uri` is a database; a server knows itself.

        Raises:
            InputError: If `uri` is a plain folder, which MLflow has given up.
            StoreError: If the server cannot be reached or the experiment was deleted.
        """
        if uri.startswith("file:") or "://" not in uri:
            raise InputError(
                "tracking needs http(s)://SERVER or a database such as sqlite:///FILE, got one "
                f"that starts with {uri.partition(':')[0]!r}"
            )
        for name, level in _QUIET.items():
            logging.getLogger(name).setLevel(level)
        os.environ.update(mlflow_environment.s3_environment(load_settings()))
        self.uri = masked(uri)
        self._runs: dict[str, str] = {}
        self._models: set[str] = set()
        self._marks: dict[str, str] = {}  # tags of the experiment, as set from here
        self._looked_up: set[str] = set()  # key prefixes of which every run is in `_runs`
        if uri.startswith("sqlite:///"):
            with self._translated():
                Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        with self._translated(), warnings.catch_warnings():
            # SQLAlchemy 2.1 deprecates loaders that MLflow's tables use; nobody here can act on it.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self._experiment = self._ensure_experiment(
                experiment, None if uri.startswith("http") else artifact_uri
            )

    def ensure_run(self, facts: RunFacts) -> str:
        """The id of the run with this key, made (below its parent) when there is none."""
        if facts.key in self._runs:
            return self._runs[facts.key]
        with self._translated():
            found: list[Run] = []
            if not facts.key.startswith(tuple(self._looked_up)):
                found = self._search(f"tags.`{KEY_TAG}` = '{names.quoted(facts.key)}'", 1)
            run = found[0] if found else self._create(facts)
            run_id = str(run.info.run_id)
            params = names.fit_params(facts.params).items()
            missing = [Param(*each) for each in params if each[0] not in run.data.params]
            for start in range(0, len(missing), _PARAMS_PER_BATCH):
                self._client.log_batch(run_id, params=missing[start : start + _PARAMS_PER_BATCH])
            if found:
                self.set_tags(run_id, facts.tags)
        self._runs[facts.key] = run_id
        return run_id

    def preload(self, key_prefix: str) -> None:
        """Look up the runs with such keys at once, whatever was known of them before."""
        pattern = f"{names.quoted(key_prefix)}%"
        with self._translated():
            found = self._search(f"tags.`{KEY_TAG}` LIKE '{pattern}'", None)
        known = {key: run for key, run in self._runs.items() if not key.startswith(key_prefix)}
        self._runs = known | {run.data.tags[KEY_TAG]: str(run.info.run_id) for run in found}
        self._looked_up.add(key_prefix)

    def log_metrics(self, run_id: str, points: Sequence[MetricPoint]) -> None:
        """One `log_batch` per thousand points."""
        metrics = [_metric(point) for point in points]
        with self._translated():
            for start in range(0, len(metrics), _METRICS_PER_BATCH):
                self._client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags in one call."""
        found = [RunTag(name[:250], names.short(value, "tag")) for name, value in tags.items()]
        with self._translated():
            if found:
                self._client.log_batch(run_id, tags=found)

    def log_dataset(self, run_id: str, name: str, digest: str, context: str) -> None:
        """Add a dataset input; MLflow itself keeps equal ones single."""
        dataset = Dataset(
            name=name,
            digest=names.short(digest, "dataset digest"),
            source_type="rmsweep",
            source=f'{{"sha256": "{digest}"}}',
        )
        entry = DatasetInput(dataset, [InputTag("mlflow.data.context", context)])
        with self._translated():
            self._client.log_inputs(run_id, datasets=[entry])

    def log_artifact(self, run_id: str, name: str, data: bytes) -> None:
        """Write the file aside and hand it over."""
        path = PurePosixPath(name)
        folder = path.parent.as_posix()
        with self._translated(), tempfile.TemporaryDirectory() as aside:
            file = Path(aside) / path.name
            file.write_bytes(data)
            self._client.log_artifact(run_id, str(file), None if folder == "." else folder)

    def register_model(
        self, run_id: str, model: ModelFacts, figures: Sequence[MetricPoint]
    ) -> None:
        """A logged model without files of its own, which MLflow calls external."""
        if model.key in self._models:
            return
        with self._translated():
            query = f"tags.`{KEY_TAG}` = '{names.quoted(model.key)}'"
            found = self._client.search_logged_models([self._experiment], query, max_results=1)
            if not found:
                self._create_model(run_id, model, figures)
        self._models.add(model.key)

    def describe(self, text: str, views: Sequence[View] = ()) -> None:
        """The experiment's description, unless somebody has written one of their own; views."""
        marks = {names.view_tag(view.key): view_state(view) for view in views}
        with self._translated():
            if not self._marks:
                tags = self._client.get_experiment(self._experiment).tags
                if tags.get(_OURS_TAG) == "true" or _NOTE_TAG not in tags:
                    # Without its kind MLflow opens the experiment among chats and prompts.
                    marks |= {_NOTE_TAG: text, _OURS_TAG: "true"}
                    marks[_KIND_TAG] = "custom_model_development"
            for name, value in marks.items():
                if self._marks.get(name) != value:
                    self._client.set_experiment_tag(self._experiment, name, value)
        self._marks |= marks

    def page(self, run_id: str, artifact: str = "") -> str:
        """Relative to MLflow's own pages, whatever their address."""
        return names.run_page(self._experiment, run_id, artifact)

    def picture(self, run_id: str, artifact: str) -> str:
        """Relative to MLflow's own pages, as `page`."""
        return names.artifact_file(run_id, artifact)

    def found_page(
        self, tags: Mapping[str, str], *, best_by: str, lowest_first: bool = False
    ) -> str:
        """MLflow's list of runs, with the search filled in."""
        return names.runs_page(self._experiment, tags, best_by=best_by, lowest_first=lowest_first)

    def view_page(self, key: str, *, charts: bool = False) -> str:
        """MLflow's page of a shared view."""
        return names.view_page(self._experiment, key, charts=charts)

    def set_status(self, run_id: str, status: RunStatus, ended: float | None = None) -> None:
        """Say how a run stands."""
        with self._translated():
            if ended is None:
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, status, names.milliseconds(ended))

    def _ensure_experiment(self, name: str, artifact_uri: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, artifact_location=artifact_uri))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(name)  # another driver was faster
        if found is None or found.lifecycle_stage != "active":
            raise StoreError(
                f"MLflow's experiment {name!r} at {self.uri} is deleted; restore it there, or name "
                "another one in the sweep file (tracking.experiment)"
            )
        return str(found.experiment_id)

    def _create(self, facts: RunFacts) -> Run:
        tags = {**facts.tags, KEY_TAG: facts.key, "mlflow.source.name": "rmsweep"}
        if facts.parent_key is not None:
            tags["mlflow.parentRunId"] = self._runs[facts.parent_key]
        started = None if facts.started is None else names.milliseconds(facts.started)
        run = self._client.create_run(
            self._experiment,
            start_time=started,
            tags={name: names.short(value, "tag") for name, value in tags.items()},
            run_name=facts.name,
        )
        assert isinstance(run, Run)
        return run

    def _create_model(self, run_id: str, model: ModelFacts, figures: Sequence[MetricPoint]) -> None:
        made = self._client.create_logged_model(
            self._experiment,
            name=names.fit_model(model.name),
            source_run_id=run_id,
            tags={**model.tags, KEY_TAG: model.key, _EXTERNAL_TAG: "true"},
            params=names.fit_params(model.params),
        )
        self._client.finalize_logged_model(made.model_id, "READY")
        metrics = [_metric(point, made.model_id) for point in figures]
        self._client.log_batch(run_id, metrics=metrics[:_METRICS_PER_BATCH])

    def _search(self, query: str, most: int | None) -> list[Run]:
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                query,
                ViewType.ACTIVE_ONLY,
                most or _RUNS_PER_PAGE,
                page_token=token,
            )
            runs.extend(page)
            token = page.token
            if most is not None or not token:
                return runs

    def _forget(self) -> None:
        """A run may have been deleted, or made without our hearing of it: look again next time."""
        self._runs.clear()
        self._models.clear()
        self._looked_up.clear()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except MlflowException as error:
            self._forget()
            raise mlflow_error(
                self.uri,
                code=str(error.error_code),
                status=error.get_http_status_code(),
                said=str(error),
            ) from error
        except (requests.RequestException, SQLAlchemyError, OSError) as error:
            self._forget()
            raise StoreError(f"MLflow at {self.uri} failed: {error}") from error


def _metric(point: MetricPoint, model: str | None = None) -> Metric:
    time = names.milliseconds(point.time)
    return Metric(names.fit(point.name), point.value, time, point.step, model)
