"""What a reused model lacks: benchmarks, and scores under this sweep's own scoring settings."""

from __future__ import annotations

from typing import Any

import pytest

from infra.settings import Settings
from sweep.execution.registration import register
from sweep.execution.reuse import missing_evaluations
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from tests.execution.plans import plan_of
from tests.records.rows import outcome, stranger
from trainer.config import TrainerConfig
from trainer.identity import active_settings, evaluation_identity


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

    (lacking,) = missing_evaluations(ledger, second.sweep_id)

    assert set(lacking.config.evaluation.benchmarks) == {"validation", "test"}
    for benchmark in lacking.config.evaluation.benchmarks:
        identity = lacking.identity_on(benchmark)
        ledger.record_evaluation(lacking.identity, benchmark, identity, {"accuracy": 0.5})
    assert missing_evaluations(ledger, second.sweep_id) == []


def test_settings_that_change_no_score_name_no_other_evaluation() -> None:
    def named(config: TrainerConfig) -> str:
        return evaluation_identity(config, model_digest="m", benchmark_digest="b")

    scalar = TrainerConfig()
    assert named(scalar) == named(TrainerConfig.model_validate({"judge": {"verdict": "text"}}))
    assert named(judge()) == named(judge(max_written_tokens=9))
    assert named(judge(verdict="text")) != named(judge(verdict="text", max_written_tokens=9))
    assert named(critic(24)) != named(critic(9))
