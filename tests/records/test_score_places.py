"""Which of several evaluations of one model a sweep reads: the one it asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import TrialRow
from sweep.records.score_places import ScorePlaces
from tests.records.rows import TTL, identity_of, outcome, register, stranger
from trainer.config import TrainerConfig
from trainer.data.mixture import benchmark_digest
from trainer.identity import evaluation_identity
from trainer.scores import score_key

FIRST, SECOND, THIRD = "first-1a2b3c4d", "second-1a2b3c4d", "third-1a2b3c4d"


def judge(words: int, **sections: Any) -> TrainerConfig:  # noqa: ANN401 -- any settings
    settings = {"reasoning": True, "max_written_tokens": words}
    return TrainerConfig.model_validate({"paradigm": "generative", "judge": settings, **sections})


def named(config: TrainerConfig) -> str:
    """Identity of the scores a config asks for."""
    asked = config.evaluation.benchmarks["validation"]
    digest = benchmark_digest(config.data, asked)
    return evaluation_identity(config, model_digest="m" * 64, benchmark_digest=digest)


def shared(ledger: Ledger, configs: dict[str, TrainerConfig]) -> str:
    """One trial that the first of these sweeps trains and the others reuse."""
    for sweep_id, config in configs.items():
        row = TrialRow(
            identity=identity_of(1), arm="a", seed=0, config_json=config.model_dump(mode="json")
        )
        register(ledger, sweep_id, trials=[row])
    attempt = ledger.claim(identity_of(1), next(iter(configs)), stranger(), TTL)
    assert attempt is not None
    ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, outcome())
    return identity_of(1)


def key_in(ledger: Ledger, sweep_id: str, benchmark: str = "validation") -> str:
    (trial,) = ledger.trials(sweep_id)
    return ScorePlaces(ledger.evaluations([trial.identity])).key(trial, benchmark)


def test_every_sweep_reads_the_scores_made_under_its_own_settings(tmp_path: Path) -> None:
    configs = {FIRST: judge(24), SECOND: judge(9), THIRD: judge(5)}
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        identity = shared(ledger, configs)
        assert {key_in(ledger, each) for each in configs} == {score_key(identity, "validation")}

        for config in (configs[THIRD], configs[SECOND]):
            ledger.record_evaluation(identity, "validation", named(config), {"accuracy": 0.5})

        plain = score_key(identity, "validation")
        assert key_in(ledger, FIRST) == plain
        for sweep_id in (SECOND, THIRD):
            evaluation = named(configs[sweep_id])
            assert key_in(ledger, sweep_id) == score_key(
                identity, "validation", evaluation=evaluation
            )


def test_of_a_benchmark_that_was_added_later_the_last_scores_count(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        identity = shared(ledger, {FIRST: judge(24)})
        for name in ("e" * 64, "f" * 64):
            ledger.record_evaluation(identity, "hard", name, {"accuracy": 0.5})

        assert key_in(ledger, FIRST, "hard") == score_key(identity, "hard", evaluation="f" * 64)


def test_where_the_data_is_needed_to_tell_and_gone_nothing_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    own = {
        "data": {"sources": {"mine": {"kind": "file", "settings": {"path": str(path)}}}},
        "evaluation": {"benchmarks": {"validation": {"parts": {"mine": 4}}}},
    }
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        identity = shared(ledger, {FIRST: judge(24, **own), SECOND: judge(9, **own)})
        ledger.record_evaluation(identity, "validation", "e" * 64, {"accuracy": 0.5})

        with pytest.raises(InputError, match="scored on 'validation' more than once"):
            key_in(ledger, SECOND)
