"""What is attached to runs besides figures: descriptions, model cards, score tables, models.

Weights and large tables stay in the object store; a tracker gets cards, links and small tables.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import yaml

from infra.errors import InputError, MissingObjectError, StoreError
from infra.object_store import ObjectStore, open_store
from infra.tracking import MetricPoint, ModelFacts, Tracker
from sweep.records import projection
from sweep.records.charting import arms_view, shown
from sweep.records.describing import (
    HOW_TO_LOOK,
    NOTE,
    lowest_is_best,
    model_card,
    objective_name,
    ranked_arms,
    sweep_note,
    verdict_tags,
)
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import ENDED_SWEEP_STATES, TrialState
from sweep.records.rows import ArmRow, Json, SweepRow, TrialView
from sweep.records.score_places import ScorePlaces
from trainer.record import TrialRecord

LARGEST_TABLE = 1_000_000
"""Bytes of a score table that is attached; larger ones are only named."""
ATTACHED_TRIALS = 300
"""Trials of a sweep that get a card and their tables; of larger sweeps only the registered ones."""
TAGGED_ARMS = 300
"""Arms that carry what a report says of them; a tag takes a server 45 ms."""
EFFECTS = "effects.png"
"""Name of a report's file that a sweep's page shows at its head."""
VERDICTS = "verdicts.json"
"""Name of a report's file that says of every arm how it stands to the baseline."""
# libyaml's, where PyYAML was built with it, writes a config in a tenth of the time.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_log = logging.getLogger(__name__)


class Exhibits:
    """Attachments of one sweep's runs, written as the sweep stands now."""

    def __init__(
        self,
        ledger: Ledger,
        tracker: Tracker,
        sweep: SweepRow,
        arms: Mapping[str, ArmRow],
        members: Mapping[str, Sequence[TrialView]],
    ) -> None:
        self._ledger = ledger
        self._tracker = tracker
        self._sweep = sweep
        self._arms = arms
        self._members = members

    def attach_to_trial(self, run: str, trial: TrialView, record: TrialRecord | None) -> None:
        """Card, settings and score tables of a finished trial."""
        if trial.state is not TrialState.SUCCEEDED:
            return
        if sum(map(len, self._members.values())) > ATTACHED_TRIALS:
            return
        self._attach(run, trial, record)

    def attach_spec(self, run: str) -> None:
        """What the sweep asks for, as its file would say it."""
        self._tracker.log_artifact(run, "sweep.yaml", _yaml(self._sweep.spec_json))

    def describe_sweep(self, run: str) -> None:
        """The sweep's page as it stands, with links to what is attached."""
        self._tracker.describe(HOW_TO_LOOK, [arms_view(self._sweep, self._members)])
        headline, files = self._reported(run)
        pages = {name: self._page(name) for name in ranked_arms(self._sweep, self._members)[:20]}
        note = sweep_note(
            self._sweep,
            self._members,
            self._ledger.spent(self._sweep.sweep_id),
            headline=headline,
            files=self._views() | files,
            picture=self._tracker.picture(run, f"report/{EFFECTS}") if EFFECTS in files else "",
            page=lambda arm: pages.get(arm, ""),
            attached=ATTACHED_TRIALS,
        )
        self._tracker.set_tags(run, {NOTE: note})

    def tag_arms(self, content: Json) -> None:
        """What a report says of arms, on their runs: a list of arms shows which ones differ."""
        key = publication_files(content).get(VERDICTS)
        if key is None:
            return
        try:
            data = open_store(content.get("store") or self._sweep.storage).read(key)
        except (MissingObjectError, InputError) as error:
            _log.warning("arms are shown without verdicts: %s", error)
            return
        said: Json = json.loads(data)
        for name in [said["baseline"], *said["arms"]][:TAGGED_ARMS]:
            if name in self._arms:
                facts = projection.arm_facts(self._sweep, self._arms[name])
                tags = verdict_tags(said["arms"].get(name), str(said["benchmark"]))
                self._tracker.set_tags(self._tracker.ensure_run(facts), tags)

    def register_best(self) -> None:
        """The best arm's models, once the sweep is over; their weights stay where they are."""
        ranked = ranked_arms(self._sweep, self._members)
        if self._sweep.state not in ENDED_SWEEP_STATES or not ranked:
            return
        arm = self._arms[ranked[0]]
        for trial in self._members[arm.name]:
            if trial.state is not TrialState.SUCCEEDED or trial.model_digest is None:
                continue
            run = self._tracker.ensure_run(
                projection.trial_facts(self._sweep, arm, trial, started=None)
            )
            figures = [
                MetricPoint(shown(name), value, trial.step, trial.changed)
                for name, value in trial.metrics.items()
                if name.startswith("eval/")
            ]
            self._tracker.register_model(run, _model_facts(self._sweep, arm, trial), figures)
            if sum(map(len, self._members.values())) > ATTACHED_TRIALS:
                self._attach(run, trial, None)

    def _views(self) -> dict[str, str]:
        best = shown(objective_name(self._sweep))
        trials = {"sweep.id": self._sweep.sweep_id, "sweep.kind": "trial"}
        return {
            "arms": self._tracker.view_page(self._sweep.sweep_id),
            "arms as charts": self._tracker.view_page(self._sweep.sweep_id, charts=True),
            "trainings": self._tracker.found_page(
                trials, best_by=best, lowest_first=lowest_is_best(self._sweep)
            ),
        }

    def _reported(self, run: str) -> tuple[str, dict[str, str]]:
        """The newest report's answer, and pages of the files of all publications."""
        headline, files = "", {}
        for told in self._ledger.publications(self._sweep.sweep_id):
            content: Json = told.payload
            if told.kind == "report":
                headline = str(content.get("headline") or headline)
            for name in publication_files(content):
                files[name] = self._tracker.page(run, f"{told.kind}/{name}")
        return headline, files

    def _page(self, arm: str) -> str:
        facts = projection.arm_facts(self._sweep, self._arms[arm])
        return self._tracker.page(self._tracker.ensure_run(facts))

    def _attach(self, run: str, trial: TrialView, record: TrialRecord | None) -> None:
        card = model_card(self._sweep, self._arms[trial.arm], trial, record)
        self._tracker.log_artifact(run, "model_card.md", card.encode())
        self._tracker.log_artifact(run, "config.yaml", _yaml(trial.config_json))
        if trial.storage is None:
            return
        store = open_store(trial.storage)
        places = ScorePlaces(self._ledger.evaluations([trial.identity]))
        for name in _scored_on(trial):
            data = _small(store, places.key(trial, name))
            if data is not None:
                self._tracker.log_artifact(run, f"scores/{name}.parquet", data)


def publication_files(content: Json) -> dict[str, str]:
    """Object keys by artifact name: `files` as given, or the one `key` under its own name."""
    if "files" in content:
        return dict(content["files"])
    return {PurePosixPath(content["key"]).name: content["key"]} if "key" in content else {}


def _model_facts(sweep: SweepRow, arm: ArmRow, trial: TrialView) -> ModelFacts:
    weights = "" if trial.storage is None else trial.storage.rstrip("/")
    return ModelFacts(
        key=f"{sweep.sweep_id}/model/{trial.identity}",
        name=f"{arm.name} seed {trial.seed}",
        tags={
            "sweep.id": sweep.sweep_id,
            "sweep.identity": trial.identity,
            "sweep.model_digest": str(trial.model_digest),
            "sweep.weights": f"{weights}/trials/{trial.identity}/model",
        },
        params={**{axis: str(level) for axis, level in arm.point.items()}, "seed": str(trial.seed)},
    )


def _yaml(content: Json) -> bytes:
    text: str = yaml.dump(dict(content), Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    return text.encode()


def _small(store: ObjectStore, key: str) -> bytes | None:
    try:
        data = store.read(key)
    except (MissingObjectError, InputError, StoreError) as error:
        _log.info("no score table to attach: %s", error)
        return None
    return data if len(data) <= LARGEST_TABLE else None


def _scored_on(trial: TrialView) -> list[str]:
    """Benchmarks a trial has figures on."""
    names = (name.split("/")[1] for name in trial.metrics if name.startswith("eval/"))
    return list(dict.fromkeys(names))
