"""Scoring with what was trained: one model, or an ensemble that an `ensemble.json` describes.

    from trainer.scoring import load_reward_model

    rewards = load_reward_model("ensemble.json")  # or a model's folder
    table = rewards.score([{"prompt": "2 + 2?", "responses": ["4", "5"], "image": "sum.png"}])
    table["score"].to_pylist()

Nothing is retrained. An ensemble's score is what its rule makes of its members' scores, the very
function it was judged by; how far the members disagree comes with every response.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import torch

from infra.errors import DataError, InputError, MissingError
from infra.object_store import ObjectStore
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.data.mixture import benchmark_digest, items_by_benchmark
from trainer.data.overlaps import SeenOverlaps
from trainer.data.unlabelled import Row, as_items
from trainer.evaluation.benchmark_results import benchmark_results
from trainer.evaluation.evaluate import Benchmark, evaluate
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig
from trainer.gangs.gang import Gang
from trainer.identity import digest, evaluation_identity
from trainer.members.ensemble_file import EnsembleFile, read_ensemble
from trainer.members.member_models import GIB, available_bytes, rounds
from trainer.members.member_tables import combine
from trainer.model.model_files import file_digests, load_model, model_folder
from trainer.model.reward_model import RewardModel
from trainer.record import MODEL_PAGE
from trainer.scores import one_row_per_response, score_key, write_scores


class ModelScorer:
    """One reward model."""

    size = 1

    def __init__(self, model: RewardModel, *, fingerprint: str = "") -> None:
        device = scoring_device()
        self.fingerprint = fingerprint
        """Names what scores: equal ones give equal scores."""
        self.model = model.to(device).eval()
        self._gang = Gang(0, 1, device)
        self.written_tokens = 0
        """Tokens written so far before scoring."""

    def score(
        self,
        rows: Sequence[PreferenceItem | Row],
        *,
        benchmark: str = "scored",
        split: str = "test",
    ) -> pa.Table:
        """The score table of these items.

        Args:
            rows: Items, or mappings with `prompt`, `responses` (or `response`) and, where there
                are any, `image` or `images` as paths or Pillow images.
            benchmark: Name in the table.
            split: Split in the table.

        Raises:
            InputError: If there are none.
            DataError: If one cannot be shown to this model; naming every row that is unusable.
        """
        items = as_items(rows)
        if not items:
            raise InputError("there is nothing to score: expected at least one item")
        prepared = self._prepared(items, benchmark, split)
        scored = evaluate(self.model, prepared, self._gang)
        self.written_tokens += scored.written_tokens
        return scored.table

    def refusal(self, item: PreferenceItem) -> str:
        """Why this model cannot take an item; empty if it can."""
        try:
            self._prepared([item], "", "").examples.take([0])
        except DataError as error:
            return str(error)
        return ""

    def _prepared(self, items: list[PreferenceItem], name: str, split: str) -> Benchmark:
        return Benchmark(
            name=name,
            split=split,
            items=items,
            backbone=self.model.backbone,
            config=self.model.config,
            frozen_vision=not self.model.vision_is_trained,  # encoded as when it was trained
        )

    def rounds(self, needed: Collection[int] = (0,)) -> Iterator[dict[int, ModelScorer]]:
        """Itself, as the only member there is."""
        if needed:
            yield {0: self}

    def combined(self, tables: Sequence[pa.Table]) -> pa.Table:
        """The one table, a row per response."""
        return one_row_per_response(tables[0])


class EnsembleScorer:
    """Several reward models as one; they stay in memory when they all fit."""

    def __init__(
        self,
        ensemble: EnsembleFile,
        *,
        memory_gib: float | None = None,
        stores: Mapping[str, str] | None = None,
    ) -> None:
        self.ensemble = ensemble
        self._device = scoring_device()
        self._limit = available_bytes(self._device) if memory_gib is None else int(memory_gib * GIB)
        self._stores = stores
        self._resident: dict[int, ModelScorer] = {}

    def score(
        self,
        rows: Sequence[PreferenceItem | Row],
        *,
        benchmark: str = "scored",
        split: str = "test",
    ) -> pa.Table:
        """The score table of these items: one row per response, with `member_tables.EXTRA_COLUMNS`.

        `probability` is the chance that a response is the best of its item, absent where there is
        only one; `uncertainty` is the standard deviation between the members' normalised scores;
        `disagreement` the share of members whose favourite is another than the ensemble's, absent
        where there is only one response.

        Raises:
            InputError: As `ModelScorer.score`, and if the ensemble's rule compares responses but
                an item has only one, or a member does not fit into memory.
            MissingError: If a member's model is gone.
            CorruptObjectError: If it is not the one the ensemble was selected with.
        """
        items = as_items(rows)
        tables: dict[int, pa.Table] = {}
        for models in self.rounds():
            for number in models:
                tables[number] = models[number].score(items, benchmark=benchmark, split=split)
        return self.combined([tables[number] for number in sorted(tables)])

    @property
    def size(self) -> int:
        """Members."""
        return len(self.ensemble.members)

    @property
    def fingerprint(self) -> str:
        """Names what scores: equal ones give equal scores."""
        return digest(self.ensemble.model_dump(mode="json"))

    def combined(self, tables: Sequence[pa.Table]) -> pa.Table:
        """As `combine`, from the tables of the members in their order."""
        return combine(self.ensemble, tables)

    def rounds(self, needed: Collection[int] | None = None) -> Iterator[dict[int, ModelScorer]]:
        """Members by number, as many at a time as memory holds; they stay where all fit.

        What is yielded is emptied when more is asked for.

        Args:
            needed: Members to load; all when absent.

        Raises:
            InputError: As `score`; and `MissingError`, `CorruptObjectError`.
        """
        if self._resident:
            yield self._resident
            return
        wanted = range(self.size) if needed is None else sorted(needed)
        members = {number: self.ensemble.members[number] for number in wanted}
        for models in rounds(
            members, limit_bytes=self._limit, device=self._device, stores=self._stores
        ):
            held = {number: ModelScorer(models[number]) for number in models}
            if len(held) == self.size:
                self._resident = held
                yield held
                return
            yield held
            held.clear()


def scoring_device() -> torch.device:
    """The accelerator where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def every_core() -> Iterator[None]:
    """Let this process use every core: scoring has it to itself, unlike a rank of a sweep.

    Only inside, for whoever calls may go on to work beside others: threads that wait for each
    other by turning in circles made a scoring 60 times slower on two cores that were taken.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load_reward_model(
    where: str | Path,
    store: ObjectStore | None = None,
    *,
    memory_gib: float | None = None,
    stores: Mapping[str, str] | None = None,
) -> ModelScorer | EnsembleScorer:
    """A trained reward model or an ensemble of them, ready to score.

    Args:
        where: An `ensemble.json`, the folder of a saved model, or with a store a trial's identity.
        store: Where the trial left its files.
        memory_gib: For the weights of an ensemble's members; most of what is free when absent.
        stores: Where an ensemble's stores are now, by the address its file gives them.

    Raises:
        MissingError: If there is no such file, folder or model.
        CorruptObjectError: If a model's files are not those it was saved with.
        InputError: If the ensemble file cannot be read.
    """
    if store is not None:
        with model_folder(store, str(where)) as folder:
            return _scorer_of(folder)
    path = Path(where)
    if path.is_dir():
        return _scorer_of(path)
    if not path.exists():
        raise MissingError(f"expected an ensemble.json or a folder with a {MODEL_PAGE}, got {path}")
    return EnsembleScorer(read_ensemble(path), memory_gib=memory_gib, stores=stores)


def _scorer_of(folder: Path) -> ModelScorer:
    files = file_digests(folder)
    return ModelScorer(load_model(folder, digests=files), fingerprint=digest(files))


def evaluate_model(
    store: ObjectStore,
    identity: str,
    config: TrainerConfig,
    benchmarks: Mapping[str, BenchmarkConfig],
    *,
    overlaps: SeenOverlaps | None = None,
) -> dict[str, dict[str, float]]:
    """Score a finished trial's model; each table lies under its evaluation's name.

    Args:
        store: Where the trial's files are.
        identity: The trial's.
        config: Its `data` says what the benchmarks' source names mean.
        benchmarks: What to score, by name.
        overlaps: Knows what trainings on the same data had seen, where many are scored in a row.

    Returns:
        Metrics by benchmark, text-only twins included.

    Raises:
        MissingError: If the trial left no model.
        CorruptObjectError: If its files are not those it was saved with.
    """
    with model_folder(store, identity) as folder:
        files = file_digests(folder)
        model = load_model(folder, digests=files)
    model.config = config  # how much a judge or critic writes is this evaluation's to say
    scorer = ModelScorer(model)
    evaluation = EvaluationConfig(benchmarks=dict(benchmarks))
    tables = {}
    every = items_by_benchmark(config.data, evaluation)
    for name, items in every.items():
        benchmark = evaluation.benchmarks[name]
        tables[name] = scorer.score(items, benchmark=name, split=benchmark.split)
        identified = evaluation_identity(
            config,
            model_digest=digest(files),
            benchmark_digest=benchmark_digest(config.data, benchmark),
        )
        key = score_key(identity, name, evaluation=identified)
        store.write(key, write_scores(tables[name]))
    results = benchmark_results(tables, config.data, evaluation)
    for name, shared in (overlaps or SeenOverlaps()).of(config, evaluation, every).items():
        results[name] |= shared
    return results
