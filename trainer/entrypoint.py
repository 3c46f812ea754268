"""One rank's whole life: prepare, train, save the model, score the benchmarks, say how it went."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import torch

from infra.object_store import ObjectStore
from infra.provenance import take_provenance
from infra.settings import load_settings
from trainer.catalog import backbone_digest
from trainer.config import TrainerConfig
from trainer.data.mixture import (
    benchmark_digest,
    data_digests,
    items_by_benchmark,
    training_items,
)
from trainer.data.overlaps import check_held_out, shared_with_validation, validation_items
from trainer.evaluation.benchmark_results import benchmark_results, reported
from trainer.evaluation.evaluate import Benchmark, evaluate
from trainer.gangs.gang import Gang
from trainer.model.backbone import load_backbone
from trainer.model.frozen_features import CHUNK_ITEMS, FrozenFeatures
from trainer.model.low_rank import ADAPTED, add_adapters, merge_adapters
from trainer.model.model_files import store_model
from trainer.model.pooled_states import PooledStates, only_the_head_trains
from trainer.model.reward_model import RewardModel
from trainer.phases import is_ever_free
from trainer.prompting.examples import Examples
from trainer.prompting.text_cutting import TextLimits
from trainer.record import AttemptRecord, MetricsWriter, RecordWriter, TrialRecord
from trainer.reporting import CheckpointReference, TrialOutcome, TrialReporter
from trainer.scores import score_key, write_scores
from trainer.scoring import evaluate_model
from trainer.training.checkpoint import Checkpoints, WholeCheckpoint
from trainer.training.data_order import training_order
from trainer.training.deepspeed_engine import DeepSpeedEngine, join_gang
from trainer.training.loop import LoopParts, TrainingLoop


def train_reward_model(  # noqa: PLR0913 -- all by name
    config: TrainerConfig,
    *,
    store: ObjectStore,
    identity: str,
    reporter: TrialReporter,
    stop_asked: Callable[[], bool] = lambda: False,
    resume_from: Sequence[CheckpointReference] = (),
    scratch: Path | None = None,
) -> TrialOutcome:
    """Train one reward model, in every rank of its gang.

    Args:
        config: What to train.
        store: Where the trial's files go, under `trials/<identity>/`.
        identity: Name of the trained weights.
        reporter: Listens to rank 0; the other ranks never call it.
        stop_asked: Asked by rank 0 after every optimizer step; once true, the training ends there
            with a report and a checkpoint.
        resume_from: Checkpoints as they were recorded, newest first: the first that is whole is
            gone on from. From the beginning when there are none.
        scratch: Folder for copies of checkpoints, which a rank that is killed leaves behind.

    Raises:
        TrialFailure: When the training diverges, or none of the checkpoints is whole.
        DataError: When the data cannot be used.
        BackboneError: When the backbone cannot be loaded.
    """
    started = time.monotonic()
    gang = join_gang(config)
    trial = Trial(config, store=store, identity=identity, gang=gang, started=started)
    checkpoints = Checkpoints(store, identity, config, gang, scratch=scratch)
    whole = checkpoints.fetch(resume_from) if resume_from else None
    writer = trial.open_record(whole) if gang.leads else None
    outcome = None
    try:
        outcome = trial.run(reporter, stop_asked, checkpoints, whole)
    finally:
        if whole is not None:
            whole.discard()  # a rank ends without the interpreter's farewells
        if writer is not None:
            writer.end(outcome)
    return outcome


def score_benchmarks(config: TrainerConfig, *, store: ObjectStore, identity: str) -> TrialOutcome:
    """Score a finished trial's model on the config's benchmarks, without training.

    Raises:
        MissingError: When the trial left no model.
    """
    started = time.monotonic()
    scored = evaluate_model(store, identity, config, config.evaluation.benchmarks)
    seconds = time.monotonic() - started
    return TrialOutcome(
        finished=True,
        step=config.total_steps,
        fraction=1.0,
        seconds=seconds,
        metrics=reported(scored) | {"cost/device_seconds": seconds},
    )


class Trial:
    """The parts of one attempt and their order."""

    def __init__(
        self,
        config: TrainerConfig,
        *,
        store: ObjectStore,
        identity: str,
        gang: Gang,
        started: float,
    ) -> None:
        self._config = config
        self._store = store
        self._identity = identity
        self._gang = gang
        self._started = started
        self._models = load_settings().models
        self._cost: dict[str, float] = {"cost/written_tokens": 0.0}
        torch.manual_seed(config.seed * 1000 + gang.rank)  # dropout; the head has its own

    def open_record(self, resume_from: WholeCheckpoint | None) -> RecordWriter:
        """Say what is being tried."""
        config = self._config
        record = TrialRecord(
            identity=self._identity,
            config=config,
            data_digests=data_digests(config.data),
            benchmark_digests={
                name: benchmark_digest(config.data, benchmark)
                for name, benchmark in config.evaluation.benchmarks.items()
            },
            backbone_digest=backbone_digest(config.backbone, models=self._models),
        )
        attempt = AttemptRecord(
            provenance=take_provenance(),
            resumed_from=None if resume_from is None else resume_from.reference,
        )
        return RecordWriter(self._store, record, attempt)

    def run(
        self,
        reporter: TrialReporter,
        stop_asked: Callable[[], bool],
        checkpoints: Checkpoints,
        resume_from: WholeCheckpoint | None,
    ) -> TrialOutcome:
        """Train from the checkpoint or from scratch, and score at the end."""
        model = RewardModel(load_backbone(self._config.backbone, models=self._models), self._config)
        self._adapt(model)
        model.to(self._gang.device)
        items = training_items(self._config.data)
        frozen = not model.vision_is_trained
        shown = training_order(self._config, items).shown()
        examples = Examples(
            items,
            model.backbone,
            self._config.paradigm,
            critiques=True,
            frozen_vision=frozen,
            # Chunks know nothing of order, ranks or batches.
            chunks=(
                shown[start : start + CHUNK_ITEMS].tolist()
                for start in range(0, len(shown), CHUNK_ITEMS)
            ),
            share_prompts=self._config.machine.share_prompts,
            limits=TextLimits.of(self._config.data),
            judge=self._config.judge,
        )
        benchmarks = self._benchmarks(model)
        held_out = {name: each.examples.items for name, each in benchmarks.items()}
        check_held_out(items, [item for each in held_out.values() for item in each])
        evaluation = self._config.evaluation
        shared = shared_with_validation(
            held_out, evaluation, validation_items(held_out, evaluation)
        )
        self._reuse(model, [examples, *(each.examples for each in benchmarks.values())])
        examples.check_lengths(map(int, shown))
        for benchmark in benchmarks.values():
            benchmark.examples.check_lengths(range(len(benchmark.examples)))
        step = resume_from.step if resume_from is not None else 0
        monitored = self._config.evaluation.monitor
        loop = TrainingLoop(
            LoopParts(
                config=self._config,
                engine=lambda phase: DeepSpeedEngine(model, self._config, self._gang, phase),
                examples=examples,
                gang=self._gang,
                checkpoints=checkpoints,
                reporter=MetricsWriter(self._store, self._identity, reporter, after=step),
                monitor=lambda: self._results(
                    {monitored: self._scored(model, benchmarks[monitored])}
                ),
                stop_asked=stop_asked,
                started=self._started,
            ),
            resume_from=resume_from,
        )
        gc.freeze()  # items and tokens live to the end; looking through them again costs 5 %
        try:
            finished = loop.run()
        finally:
            gc.unfreeze()
        self._cost["cost/training_seconds"] = time.monotonic() - self._started
        if not finished:
            return self._outcome(loop.step, {}, finished=False, model_digest=None)
        with loop.engine.gathered(changed=True):
            merge_adapters(model.module)
            model_digest = None
            if self._gang.leads:
                model_digest = store_model(model, self._store, self._identity)
        cut = examples.shortened.counts(self._gang)
        metrics = {f"data/cut_{what}": float(count) for what, count in cut.items()}
        tables = {name: self._scored(model, each, keep=True) for name, each in benchmarks.items()}
        metrics |= self._results(tables) | reported(shared)
        checkpoints.delete_all()
        return self._outcome(loop.step, metrics, finished=True, model_digest=model_digest)

    def _adapt(self, model: RewardModel) -> None:
        lora = self._config.strategy.lora
        if lora.rank:
            free = tuple(part for part in ADAPTED if is_ever_free(self._config, part))
            add_adapters(model.backbone, lora, parts=free, seed=self._config.seed)

    def _reuse(self, model: RewardModel, everything: Sequence[Examples]) -> None:
        """Let the training read what never moves from what was computed once.

        Features are shared before weights are partitioned: later, ranks would encode in step.
        """
        reuse = self._config.machine.reuse_states
        digest = backbone_digest(self._config.backbone, models=self._models)
        if reuse and only_the_head_trains(model):
            states = PooledStates(model, store=self._store, gang=self._gang, backbone_digest=digest)
            given = [states.give(examples) for examples in everything]
        else:
            given = [False] * len(everything)
        features = FrozenFeatures(
            store=self._store if reuse else None, gang=self._gang, backbone_digest=digest
        )
        for examples, known in zip(everything, given, strict=True):
            if not known:
                features.give(examples.images)

    def _benchmarks(self, model: RewardModel) -> dict[str, Benchmark]:
        evaluation = self._config.evaluation
        return {
            name: Benchmark(
                name=name,
                split=evaluation.benchmarks[name].split,
                items=items,
                backbone=model.backbone,
                config=self._config,
                frozen_vision=not model.vision_is_trained,
            )
            for name, items in items_by_benchmark(self._config.data, evaluation).items()
        }

    def _scored(self, model: RewardModel, benchmark: Benchmark, *, keep: bool = False) -> pa.Table:
        scored = evaluate(model, benchmark, self._gang)
        self._cost["cost/written_tokens"] += scored.written_tokens
        if keep and self._gang.leads:
            key = score_key(self._identity, benchmark.name)
            self._store.write(key, write_scores(scored.table))
        return scored.table

    def _results(self, tables: Mapping[str, pa.Table]) -> dict[str, float]:
        return reported(benchmark_results(tables, self._config.data, self._config.evaluation))

    def _outcome(
        self, step: int, metrics: dict[str, float], *, finished: bool, model_digest: str | None
    ) -> TrialOutcome:
        seconds = time.monotonic() - self._started
        self._cost["cost/device_seconds"] = seconds * self._gang.size
        return TrialOutcome(
            finished=finished,
            step=step,
            fraction=step / self._config.total_steps,
            seconds=seconds,
            metrics=metrics | self._cost,
            model_digest=model_digest,
        )
