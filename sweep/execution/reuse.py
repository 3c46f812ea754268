"""What a reused model still lacks: benchmarks this sweep asks for and its training did not score.

An identity covers no benchmark, so a trial may have succeeded in another sweep that measured less,
or let its judge write less before it was scored. Scoring it is all that is missing; nothing is
trained again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import TrialView
from sweep.records.score_places import evaluation_meaning
from trainer.config import BenchmarkConfig, EvaluationConfig, TrainerConfig
from trainer.data.mixture import benchmark_digest
from trainer.identity import evaluation_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A trained model to be scored on benchmarks."""

    identity: str
    store_uri: str
    model_digest: str
    config: TrainerConfig
    """With the benchmarks to score, and no others."""

    def identity_on(self, benchmark: str) -> str:
        """Name of the model's scores on one of its benchmarks; reads what the digest needs."""
        definition = self.config.evaluation.benchmarks[benchmark]
        return evaluation_identity(
            self.config,
            model_digest=self.model_digest,
            benchmark_digest=benchmark_digest(self.config.data, definition),
        )


def evaluation_of(trial: TrialView, benchmarks: dict[str, BenchmarkConfig]) -> Evaluation:
    """The scoring of one succeeded trial's model on these benchmarks."""
    assert trial.storage is not None
    assert trial.model_digest is not None
    config = TrainerConfig.model_validate(trial.config_json)
    only_these = EvaluationConfig(benchmarks=benchmarks, during=())
    return Evaluation(
        identity=trial.identity,
        store_uri=trial.storage,
        model_digest=trial.model_digest,
        config=config.model_copy(update={"evaluation": only_these}),
    )


def missing_evaluations(ledger: Ledger, sweep_id: str) -> list[Evaluation]:
    """Every succeeded trial of a sweep that lacks benchmarks the sweep asks for, with those."""
    succeeded = [t for t in ledger.trials(sweep_id) if t.state is TrialState.SUCCEEDED]
    trained = _trained_configs(ledger, sweep_id, [t for t in succeeded if t.reused])
    scored = {(row.identity, row.evaluation_identity) for row in ledger.evaluations(trained)}
    found = []
    for trial in succeeded:
        if trial.identity not in trained:
            continue  # trained by this very sweep, with its benchmarks
        config = TrainerConfig.model_validate(trial.config_json)
        lacking = _lacking(config, trained[trial.identity])
        wanted = evaluation_of(trial, lacking)
        left = {
            name: definition
            for name, definition in lacking.items()
            if (trial.identity, wanted.identity_on(name)) not in scored
        }
        if left:
            found.append(evaluation_of(trial, left))
    return found


def _trained_configs(
    ledger: Ledger, sweep_id: str, reused: Collection[TrialView]
) -> dict[str, TrainerConfig]:
    """The configs that other sweeps trained these trials with."""
    identities = {trial.identity for trial in reused}
    paid_by = {
        attempt.identity: attempt.sweep_id
        for attempt in ledger.attempts(identities)
        if attempt.state == TrialState.SUCCEEDED
    }
    configs: dict[str, TrainerConfig] = {}
    for other in set(paid_by.values()) - {sweep_id}:
        for trial in ledger.trials(other):
            if paid_by.get(trial.identity) == other:
                configs[trial.identity] = TrainerConfig.model_validate(trial.config_json)
    return configs


def _lacking(wanted: TrainerConfig, trained: TrainerConfig) -> dict[str, BenchmarkConfig]:
    there = {
        name: evaluation_meaning(definition, trained)
        for name, definition in trained.evaluation.benchmarks.items()
    }
    return {
        name: definition
        for name, definition in wanted.evaluation.benchmarks.items()
        if there.get(name) != evaluation_meaning(definition, wanted)
    }
