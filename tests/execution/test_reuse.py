"""What a reused model lacks: benchmarks, and scores under this sweep's own scoring settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.object_store import open_store
from infra.settings import Settings
from sweep.execution.registration import register
from sweep.execution.reuse import Missing, missing_evaluations
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.score_places import BenchmarkDigests, ScorePlaces
from tests.execution.plans import plan_of
from tests.records.rows import outcome, stranger
from tests.trainer.data.pair_file_writing import text_row, write_rows
from trainer.config import TrainerConfig
from trainer.data.mixture import benchmark_digest
from trainer.identity import active_settings, evaluation_identity
from trainer.record import TrialRecord, record_key
from trainer.scores import score_key


def judge(**settings: Any) -> TrainerConfig:  # noqa: ANN401 -- any settings
    return TrainerConfig.model_validate({"paradigm": "generative", "judge": settings})


def critic(words: int) -> TrainerConfig:
    return TrainerConfig.model_validate(
        {"paradigm": "critic", "critic": {"max_critique_tokens": words}}
    )


CHANGES = [
    pytest.param(judge(), judge(verdict="text"), id="the verdict is read"),
    pytest.param(
        judge(reasoning=True), judge(reasoning=True, max_written_tokens=9), id="longer reasons"
    ),
    pytest.param(critic(24), critic(9), id="longer critiques"),
]


@pytest.mark.parametrize(("before", "now"), CHANGES)
def test_a_reused_model_is_scored_anew_under_other_scoring_settings(
    before: TrainerConfig, now: TrainerConfig, ledger: Ledger, settings: Settings
) -> None:
    assert active_settings(before) == active_settings(now)
    first, second = plan_of([before], name="first"), plan_of([now], name="second")
    register(first, ledger, settings)
    (trial,) = ledger.trials(first.sweep_id)
    attempt = ledger.claim(trial.identity, first.sweep_id, stranger(), 60.0)
    assert attempt is not None
    ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, outcome())
    register(second, ledger, settings)

    (lacking,) = missing_evaluations(ledger, second.sweep_id).evaluations

    assert set(lacking.config.evaluation.benchmarks) == {"validation", "test", "test_text_only"}
    for benchmark in lacking.config.evaluation.benchmarks:
        identity = lacking.identity_on(benchmark, BenchmarkDigests())
        ledger.record_evaluation(lacking.identity, benchmark, identity, {"accuracy": 0.5})
    assert missing_evaluations(ledger, second.sweep_id) == Missing([], None)


def test_settings_that_change_no_score_name_no_other_evaluation() -> None:
    def named(config: TrainerConfig) -> str:
        return evaluation_identity(config, model_digest="m", benchmark_digest="b")

    scalar = TrainerConfig()
    assert named(scalar) == named(TrainerConfig.model_validate({"judge": {"verdict": "text"}}))
    assert named(judge()) == named(judge(max_written_tokens=9))
    assert named(judge(verdict="text")) != named(judge(verdict="text", max_written_tokens=9))
    assert named(critic(24)) != named(critic(9))


def test_whoever_trained_it_a_model_is_scored_anew_where_a_benchmarks_file_has_changed(
    ledger: Ledger, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMSWEEP_HOME", str(tmp_path / "home"))
    path = write_rows(tmp_path / "pairs.jsonl", [text_row(number) for number in range(4)])
    config = TrainerConfig.model_validate(
        {
            "data": {
                "sources": {
                    "mine": {"kind": "file", "settings": {"path": str(path), "split": "test"}}
                }
            },
            "evaluation": {
                "benchmarks": {
                    "validation": {"parts": {"scenes": 4}},
                    "own": {"split": "test", "parts": {"mine": "all"}},
                }
            },
        }
    )
    sweeps = [plan_of([config], name="first"), plan_of([config], name="second")]
    for plan in sweeps:
        register(plan, ledger, settings)
    (trial,) = ledger.trials(sweeps[0].sweep_id)
    attempt = ledger.claim(trial.identity, sweeps[0].sweep_id, stranger(), 60.0)
    assert attempt is not None
    ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, outcome())
    leave_record(trial.identity, config, settings)
    for plan in sweeps:
        assert missing_evaluations(ledger, plan.sweep_id) == Missing([], None)

    write_rows(path, [text_row(number) for number in range(1, 6)])

    lacking = [missing_evaluations(ledger, plan.sweep_id).evaluations[0] for plan in sweeps]
    anew = {"own", "own_text_only"}
    assert [set(each.config.evaluation.benchmarks) for each in lacking] == [anew] * 2
    names = {name: lacking[0].identity_on(name, BenchmarkDigests()) for name in sorted(anew)}
    for name, identity in names.items():
        ledger.record_evaluation(trial.identity, name, identity, {"accuracy": 0.5})
    places = ScorePlaces(ledger.evaluations([trial.identity]))
    for plan in sweeps:
        assert missing_evaluations(ledger, plan.sweep_id) == Missing([], None)
        (view,) = ledger.trials(plan.sweep_id)
        assert places.key(view, "own") == score_key(trial.identity, "own", evaluation=names["own"])
        assert places.key(view, "validation") == score_key(trial.identity, "validation")


def test_a_store_that_refuses_is_told_and_a_record_that_nobody_wrote_is_not(
    ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    plan = plan_of([TrainerConfig()])
    register(plan, ledger, settings)
    (trial,) = ledger.trials(plan.sweep_id)
    attempt = ledger.claim(trial.identity, plan.sweep_id, stranger(), 60.0)
    assert attempt is not None
    ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, outcome())
    assert missing_evaluations(ledger, plan.sweep_id).unread is None

    store = Path(settings.storage.removeprefix("file:"))
    store.mkdir(parents=True, exist_ok=True)
    (store / "trials").symlink_to(tmp_path)

    unread = missing_evaluations(ledger, plan.sweep_id).unread
    assert unread is not None
    assert "leads out of the store" in unread


def leave_record(identity: str, config: TrainerConfig, settings: Settings) -> None:
    """What the training that scored these benchmarks would have left of itself."""
    record = TrialRecord(
        identity=identity,
        config=config,
        data_digests={},
        benchmark_digests={
            name: benchmark_digest(config.data, benchmark)
            for name, benchmark in config.evaluation.benchmarks.items()
        },
        backbone_digest=None,
    )
    store = open_store(settings.storage)
    store.write(record_key(identity), record.model_dump_json().encode())
