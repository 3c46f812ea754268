"""What a trained model still lacks: scores this sweep asks for and its training did not leave.

An identity covers no benchmark, so a trial may have succeeded in another sweep that measured less,
or let its judge write less before it was scored, or on a benchmark's file that has changed since.
Scoring it is all that is missing; nothing is trained again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import ValidationError

from infra.errors import InputError, MissingObjectError, StoreError
from infra.object_store import ObjectStore, open_store
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import TrialView
from sweep.records.score_places import BenchmarkDigests, evaluation_meaning
from trainer.config import TrainerConfig
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig
from trainer.identity import evaluation_identity
from trainer.record import read_record

READERS = 16
"""Records read at once: one is a few kB, and a store may take 10 ms to find it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A trained model to be scored on benchmarks."""

    identity: str
    store_uri: str
    model_digest: str
    config: TrainerConfig
    """With the benchmarks to score, and no others."""

    def identity_on(self, benchmark: str, digests: BenchmarkDigests) -> str:
        """Name of the model's scores on one of its benchmarks; reads what the digest needs."""
        return evaluation_identity(
            self.config,
            model_digest=self.model_digest,
            benchmark_digest=digests.of(self.config, benchmark),
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


@dataclass(frozen=True, slots=True)
class Missing:
    """What a sweep's trained models lack, as far as it can be known."""

    evaluations: list[Evaluation]
    unread: str | None
    """Why records could not be read, if that was so."""


def missing_evaluations(ledger: Ledger, sweep_id: str) -> Missing:
    """Every succeeded trial of a sweep that lacks benchmarks the sweep asks for, with those.

    What a training was scored on is in its record, by content: where a benchmark's file has changed
    since, it is lacking. A record or a file that cannot be read here tells of no change.
    """
    succeeded = [t for t in ledger.trials(sweep_id) if t.state is TrialState.SUCCEEDED]
    trained = _trained_configs(ledger, sweep_id, [t for t in succeeded if t.reused])
    known = ledger.evaluations([trial.identity for trial in succeeded])
    scored = {(row.identity, row.evaluation_identity) for row in known}
    digests = BenchmarkDigests()
    records, unread = _recorded_digests(succeeded)
    found = []
    for trial, recorded in zip(succeeded, records, strict=True):
        config = TrainerConfig.model_validate(trial.config_json)
        lacking = {
            name: definition
            for name, definition in config.evaluation.benchmarks.items()
            if _is_lacking(name, config, trained.get(trial.identity, config), recorded, digests)
        }
        if not lacking:
            continue
        wanted = evaluation_of(trial, lacking)
        left = {
            name: definition
            for name, definition in lacking.items()
            if (trial.identity, wanted.identity_on(name, digests)) not in scored
        }
        if left:
            found.append(evaluation_of(trial, left))
    return Missing(found, unread)


def _is_lacking(
    name: str,
    wanted: TrainerConfig,
    trained: TrainerConfig,
    recorded: Mapping[str, str],
    digests: BenchmarkDigests,
) -> bool:
    """Whether a training left no scores on what a benchmark of the wanted config is now."""
    definition = trained.evaluation.benchmarks.get(name)
    asked = evaluation_meaning(wanted.evaluation.benchmarks[name], wanted)
    if definition is None or evaluation_meaning(definition, trained) != asked:
        return True
    try:
        return name in recorded and recorded[name] != digests.of(wanted, name)
    except InputError:
        return False


def _recorded_digests(trials: Sequence[TrialView]) -> tuple[list[dict[str, str]], str | None]:
    """Of every trial, what its benchmarks held when it was trained; empty where nobody knows.

    Returns:
        That, and why a record could not be read; nothing where a training has left none.
    """
    refusals: dict[str, None] = {}
    stores: dict[str | None, ObjectStore] = {}
    for uri in {trial.storage for trial in trials} - {None}:
        try:
            stores[uri] = open_store(str(uri))
        except (StoreError, InputError) as error:
            refusals[str(error)] = None

    def recorded(trial: TrialView) -> dict[str, str]:
        if trial.storage not in stores:
            return {}
        try:
            return read_record(stores[trial.storage], trial.identity).benchmark_digests
        except MissingObjectError:
            return {}
        except (StoreError, InputError, ValidationError) as error:
            refusals[str(error)] = None
            return {}

    with ThreadPoolExecutor(READERS) as readers:
        return list(readers.map(recorded, trials)), next(iter(refusals), None)


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
