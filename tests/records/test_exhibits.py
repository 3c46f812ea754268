"""What is attached to runs in a real MLflow: descriptions, cards, score tables, models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from infra.mlflow_names import runs_page
from infra.mlflow_views import LONGEST, view_state
from infra.object_store import LocalStore
from infra.tracking import Tracker, View
from sweep.records.describing import model_card, plain, ranked_arms, sweep_note
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.records.publishing import publish
from tests.records.head_sweep import SWEEP, history, register_head, run_trial, runs
from tests.records.rows import TTL, identity_of, stranger
from trainer.scores import score_key

pytest.importorskip("mlflow")


VERDICTS = {
    "benchmark": "test",
    "baseline": "baseline",
    "arms": {
        "head.layers=3": {
            "verdict": "better in general", "difference": 0.041, "interval": [0.012, 0.07],
            "sentence": "head.layers=3 is better",
        },
        "an arm that is no more": {
            "verdict": "not distinguishable", "difference": 0.0, "interval": None, "sentence": "",
        },
    },
}  # fmt: skip


@pytest.fixture
def published(ledger: Ledger, tracker: Tracker, store: LocalStore) -> dict[str, Any]:
    """A finished sweep of two arms, of which the second is better, with a report."""
    register_head(ledger, store)
    ledger.acquire_sweep(SWEEP, stranger(), TTL)
    ledger.set_sweep_state(SWEEP, SweepState.RUNNING)
    for number, accuracy in enumerate((0.5, 0.6, 0.8, 0.7)):
        store.write(score_key(identity_of(number), "validation"), b"scores" * number)
        run_trial(ledger, number, accuracy, store)
    store.write("reports/r.html", b"<p>yes</p>")
    ledger.set_sweep_state(SWEEP, SweepState.SUCCEEDED)
    store.write("reports/v.json", json.dumps(VERDICTS).encode())
    store.write("reports/e.png", b"PNG")
    files = {
        "report.html": "reports/r.html",
        "verdicts.json": "reports/v.json",
        "effects.png": "reports/e.png",
    }
    ledger.enqueue_publication(SWEEP, "report", {"files": files, "headline": "depth | helps"})
    publish(ledger, tracker, SWEEP)
    return runs(tracker)


def _models(tracker: Tracker) -> list[Any]:
    client, experiment = tracker._client, tracker._experiment  # type: ignore[attr-defined]
    return list(client.search_logged_models([experiment]))


def test_a_sweeps_page_says_what_it_found_and_leads_to_the_rest(
    tracker: Tracker, published: dict[str, Any]
) -> None:
    parent = published[SWEEP]
    note = parent.data.tags["mlflow.note.content"]

    assert note.startswith("**Does depth help?**")
    assert r"depth \| helps" in note
    arm = published[f"{SWEEP}/arm/head.layers=3"].info.run_id
    row = f"| [head.layers=3]({tracker.page(arm)}) | 0.7500 \N{PLUS-MINUS SIGN} 0.0707 | 2 |"
    assert row in note
    assert f"[report.html]({tracker.page(parent.info.run_id, 'report/report.html')})" in note
    assert "arms as charts" in note
    picture = f"(get-artifact?path=report%2Feffects.png&run_uuid={parent.info.run_id})"
    assert picture in note


def test_the_experiment_says_how_to_look_unless_it_says_something_already(
    tracker: Tracker, published: dict[str, Any], mlflow_uri: str, tmp_path: Path
) -> None:
    from infra.mlflow_tracker import MlflowTracker

    del published
    client, experiment = tracker._client, tracker._experiment  # type: ignore[attr-defined]
    tags = client.get_experiment(experiment).tags
    assert "by_progress/" in tags["mlflow.note.content"]
    assert tags["mlflow.experimentKind"] == "custom_model_development"

    other = MlflowTracker(mlflow_uri, f"own words {tmp_path.name}")
    other._client.set_experiment_tag(other._experiment, "mlflow.note.content", "ours")
    other.describe("theirs")

    assert other._client.get_experiment(other._experiment).tags["mlflow.note.content"] == "ours"


def test_the_best_arms_models_are_listed_once_and_their_weights_stay(
    ledger: Ledger, tracker: Tracker, published: dict[str, Any], store: LocalStore
) -> None:
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM cursors")
    publish(ledger, tracker, SWEEP)

    models = sorted(_models(tracker), key=lambda model: model.name)
    assert [model.name for model in models] == ["head_layers=3 seed 0", "head_layers=3 seed 1"]
    first = models[0]
    assert first.status == "READY"
    assert first.params["head.layers"] == "3"
    assert first.tags["sweep.weights"] == f"{store.uri}/trials/{identity_of(2)}/model"
    assert first.source_run_id == published[f"{SWEEP}/trial/{identity_of(2)}"].info.run_id
    assert {metric.key: metric.value for metric in first.metrics} == {
        "eval/validation/accuracy": 0.8
    }


def test_arms_carry_what_a_report_says_of_them(published: dict[str, Any]) -> None:
    better = published[f"{SWEEP}/arm/head.layers=3"].data.tags
    baseline = published[f"{SWEEP}/arm/baseline"].data.tags

    assert better["sweep.verdict"] == "better in general"
    assert better["sweep.difference"] == "+4.1 (+1.2 to +7.0)"
    assert better["mlflow.note.content"] == (
        "+4.1 (+1.2 to +7.0): better in general.\n\nOn test: head.layers=3 is better"
    )
    assert baseline["sweep.verdict"] == "baseline"
    assert "sweep.difference" not in baseline


def test_a_trial_carries_its_card_and_its_scores(published: dict[str, Any]) -> None:
    trial = published[f"{SWEEP}/trial/{identity_of(2)}"]
    folder = Path(trial.info.artifact_uri.removeprefix("file:"))

    card = (folder / "model_card.md").read_text()
    assert card.startswith("# head.layers=3, seed 0")
    assert f"| identity | `{identity_of(2)}` |" in card
    assert "| validation/accuracy | 0.8000 |" in card
    assert (folder / "scores" / "validation.parquet").read_bytes() == b"scores" * 2


def test_curves_have_a_form_that_arms_of_any_length_share(
    tracker: Tracker, published: dict[str, Any]
) -> None:
    trial = published[f"{SWEEP}/trial/{identity_of(0)}"]
    arm = published[f"{SWEEP}/arm/baseline"]

    told = history(tracker, trial, "by_progress/train/loss")
    assert [value for _, value in told] == [0.1, 0.05]
    assert all(0 < step <= 1000 for step, _ in told)
    assert history(tracker, arm, "by_progress/train/loss") == told


def test_hostile_words_are_text_in_descriptions(ledger: Ledger, store: LocalStore) -> None:
    register_head(ledger, store)
    run_trial(ledger, 0, 0.5, store)
    (arm, *_), (trial, *_) = ledger.arms(SWEEP), ledger.trials(SWEEP)
    evil = "[a](javascript:x)<img onerror=y>|`*\n# h"

    card = model_card(ledger.sweep(SWEEP), type(arm)(name=evil, point={"head": evil}), trial, None)

    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(card)
    assert "<a" not in rendered
    assert "<img" not in rendered
    assert rendered.count("<h1") == 1
    assert len(plain("x" * 10_000_000)) == 500


@pytest.mark.parametrize(("attached", "said"), [(3, True), (300, False)])
def test_a_large_sweeps_page_says_that_most_trials_carry_no_tables(
    ledger: Ledger, store: LocalStore, attached: int, *, said: bool
) -> None:
    register_head(ledger, store)
    members: dict[str, list[Any]] = {}
    for trial in ledger.trials(SWEEP):
        members.setdefault(trial.arm, []).append(trial)

    note = sweep_note(
        ledger.sweep(SWEEP),
        members,
        ledger.spent(SWEEP),
        headline="",
        files={},
        picture="",
        page=lambda _: "",
        attached=attached,
    )

    assert ("Of 4 trials only those of the best arm get card" in note) == said


def test_an_arm_with_few_seeds_is_not_the_best(ledger: Ledger, store: LocalStore) -> None:
    register_head(ledger, store)
    for number, accuracy in ((0, 0.5), (1, 0.5), (2, 0.9)):
        run_trial(ledger, number, accuracy, store)
    members: dict[str, list[Any]] = {}
    for trial in ledger.trials(SWEEP):
        members.setdefault(trial.arm, []).append(trial)

    assert ranked_arms(ledger.sweep(SWEEP), members)[0] == "head.layers=3"  # half is enough
    members["third"] = [members["head.layers=3"][0]]
    members["baseline"] *= 2
    assert ranked_arms(ledger.sweep(SWEEP), members) == ["baseline", "head.layers=3", "third"]


def test_a_list_of_runs_is_ordered_by_a_metric_so_that_arms_are_seen() -> None:
    page = runs_page("1", {"sweep.kind": "arm"}, best_by="eval/v/accuracy")

    assert page.startswith("#/experiments/1/runs?workflowType=machine_learning&searchFilter=tags.")
    assert "orderByKey=metrics.%60eval" in page
    assert "orderByAsc=false" in page
    assert "orderByAsc=true" in runs_page("1", {}, best_by="loss", lowest_first=True)


def test_a_sweeps_arms_open_on_their_axes_and_accuracies(
    tracker: Tracker, published: dict[str, Any]
) -> None:
    del published
    client, experiment = tracker._client, tracker._experiment  # type: ignore[attr-defined]
    state = json.loads(client.get_experiment(experiment).tags[f"mlflow.sharedViewState.{SWEEP}"])

    assert state["selectedColumns"][:3] == [
        "attributes.`Description`",
        "metrics.`eval/validation/accuracy`",
        "params.`head.layers`",
    ]
    parallel = state["compareRunCharts"][0]
    assert parallel["selectedParams"] == ["head.layers"]
    assert parallel["selectedMetrics"] == ["eval/validation/accuracy"]
    page = tracker.view_page(SWEEP, charts=True)
    assert f"viewStateShareKey={SWEEP}" in page


def test_a_view_of_very_many_axes_still_fits_into_a_tag() -> None:
    axes = [f"data.sources.scenes.settings.number_{number}" for number in range(200)]
    view = View(key="k", tags={}, best_by="m", params=axes, metrics=["m"])

    state = view_state(view)

    assert len(state) <= LONGEST
    assert len(json.loads(state)["compareRunCharts"][0]["selectedParams"]) > 10
