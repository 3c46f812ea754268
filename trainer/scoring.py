"""Scoring with what was trained: one model, or an ensemble that an `ensemble.json` describes.

Nothing is retrained. An ensemble's score is the weighted sum of its members' scores, each first
normalised by the mean and deviation that were measured when the ensemble was selected.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa
import torch
from pydantic import ConfigDict, Field, ValidationError

from infra.errors import CorruptObjectError, InputError, MissingError
from infra.frozen import Frozen
from infra.object_store import ObjectStore, open_store
from trainer.config import BenchmarkConfig, TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.data.mixture import benchmark_items, benchmark_suite
from trainer.evaluate import Benchmark, evaluate
from trainer.gang import Gang
from trainer.metrics import benchmark_metrics, response_scores
from trainer.model_files import PAGE, fetch_model, load_model
from trainer.reward_model import RewardModel
from trainer.scores import SCORE_SCHEMA, score_key, write_scores


class Scorer(Protocol):
    """Gives scores to responses."""

    def score(self, items: Sequence[PreferenceItem], *, benchmark: str = "scored") -> pa.Table:
        """The score table of these items, in their order."""
        ...


class ModelScorer:
    """One reward model."""

    def __init__(self, model: RewardModel) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(device).eval()
        self._gang = Gang(0, 1, device)
        self.critique_tokens = 0
        """Tokens written so far before scoring."""

    def score(
        self, items: Sequence[PreferenceItem], *, benchmark: str = "scored", split: str = "test"
    ) -> pa.Table:
        """The score table of these items.

        Raises:
            InputError: If there are none.
            DataError: If an item cannot be shown to this model.
        """
        if not items:
            raise InputError("there is nothing to score: expected at least one item")
        prepared = Benchmark(
            name=benchmark,
            split=split,
            items=items,
            backbone=self.model.backbone,
            config=self.model.config,
            frozen_vision=True,
        )
        scored = evaluate(self.model, prepared, self._gang)
        self.critique_tokens += scored.critique_tokens
        return scored.table


class Normalization(Frozen):
    """How a member's scores were spread on the items the ensemble was selected on."""

    mean: float
    std: float = Field(gt=0)


class EnsembleMember(Frozen):
    """One model of an ensemble."""

    identity: str
    store: str
    model_digest: str
    weight: float
    normalization: Normalization | None
    arm: str = ""
    seed: int = 0


class EnsembleFile(Frozen):
    """What of an `ensemble.json` scoring needs; the evidence in it is for readers."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1]
    name: str
    members: tuple[EnsembleMember, ...] = Field(min_length=1)


class EnsembleScorer:
    """Several reward models, loaded one after the other."""

    def __init__(self, ensemble: EnsembleFile) -> None:
        self.ensemble = ensemble

    def score(self, items: Sequence[PreferenceItem], *, benchmark: str = "scored") -> pa.Table:
        """The score table of these items: one row per response, the members' weighted sum.

        Raises:
            MissingError: If a member's model is gone.
            CorruptObjectError: If it is not the one the ensemble was selected with.
        """
        tables = [
            (member, _scores_of(member, items, benchmark)) for member in self.ensemble.members
        ]
        return combine(tables)


def combine(tables: Sequence[tuple[EnsembleMember, pa.Table]]) -> pa.Table:
    """One score table from those of an ensemble's members, of the same items in the same order."""
    total = None
    combined = response_scores(tables[0][1])
    for member, table in tables:
        scores = response_scores(table)["score"].to_numpy()
        if member.normalization is not None:
            scores = (scores - member.normalization.mean) / member.normalization.std
        part = member.weight * scores
        total = part if total is None else total + part
    combined["score"] = total
    combined["order"] = 0
    return pa.Table.from_pandas(
        combined[SCORE_SCHEMA.names], schema=SCORE_SCHEMA, preserve_index=False
    )


def use_all_threads() -> None:
    """Let this process use every core: scoring has it to itself, unlike a rank of a sweep."""
    torch.set_num_threads(os.cpu_count() or 1)


def load_reward_model(where: str | Path, store: ObjectStore | None = None) -> ModelScorer:
    """A trained reward model, ready to score.

    Args:
        where: Folder of a saved model, or with a store the identity of a trial.
        store: Where the trial left its files.

    Raises:
        MissingError: If there is no such model.
    """
    if store is None:
        return ModelScorer(load_model(Path(where)))
    with _fetched(store, str(where)) as (folder, _):
        return ModelScorer(load_model(folder))


def load_scorer(path: str | Path) -> Scorer:
    """What a path holds: an ensemble file, or a model folder.

    Raises:
        MissingError: If it is neither.
        InputError: If the ensemble file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return load_reward_model(path)
    if not path.is_file():
        raise MissingError(f"expected an ensemble.json or a folder with a {PAGE}, got {path}")
    try:
        return EnsembleScorer(EnsembleFile.model_validate_json(path.read_bytes()))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}"
            for each in error.errors()
        )
        raise InputError(f"{path} is not an ensemble file: {problems}") from error


def evaluate_model(
    store: ObjectStore,
    identity: str,
    config: TrainerConfig,
    benchmark_name: str,
    benchmark: BenchmarkConfig,
) -> dict[str, float]:
    """Score a finished trial's model on a benchmark; writes the score table beside the others.

    Args:
        store: Where the trial's files are.
        identity: The trial's.
        config: Its `data` says what the benchmark's source names mean.
        benchmark_name: Names the table.
        benchmark: What to score.

    Raises:
        MissingError: If the trial left no model.
    """
    scorer = load_reward_model(identity, store)
    items = benchmark_items(config.data, benchmark)
    table = scorer.score(items, benchmark=benchmark_name, split=benchmark.split)
    store.write(score_key(identity, benchmark_name), write_scores(table))
    return benchmark_metrics(table, suite=benchmark_suite(config.data, benchmark))


def _scores_of(member: EnsembleMember, items: Sequence[PreferenceItem], benchmark: str) -> pa.Table:
    store = open_store(member.store)
    with _fetched(store, member.identity) as (folder, found):
        if found != member.model_digest:
            raise CorruptObjectError(
                f"the model of trial {member.identity[:12]} has digest {found[:12]}, but the "
                f"ensemble was selected with {member.model_digest[:12]}; build the ensemble again"
            )
        return ModelScorer(load_model(folder)).score(items, benchmark=benchmark)


@contextmanager
def _fetched(store: ObjectStore, identity: str) -> Iterator[tuple[Path, str]]:
    with tempfile.TemporaryDirectory(prefix="rmsweep-model-") as name:
        folder = Path(name)
        yield folder, fetch_model(store, identity, folder)
