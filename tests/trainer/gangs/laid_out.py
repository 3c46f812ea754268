"""One training laid out in several ways: what may not change, and the batches where gangs hang."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from infra.object_store import LocalStore
from tests.trainer.trials import Notebook
from trainer.config import TrainerConfig
from trainer.data.mixture import benchmark_items, training_items
from trainer.gangs.gang import Gang
from trainer.gangs.ranks import run_trial
from trainer.reporting import TrialOutcome
from trainer.scores import read_scores, score_key
from trainer.scoring import load_reward_model
from trainer.training.batch_feed import rank_chunks
from trainer.training.data_order import training_order


def train(config: TrainerConfig, store: LocalStore, name: str) -> tuple[TrialOutcome, Notebook]:
    notebook = Notebook()
    outcome = run_trial(config, store_uri=store.uri, identity=name, reporter=notebook)
    return outcome, notebook


def assert_saved_whole(store: LocalStore, name: str, config: TrainerConfig) -> None:
    """The saved model scores as the one in training did, whoever held which weights."""
    items = benchmark_items(config.data, config.evaluation.benchmarks["validation"])
    again = load_reward_model(name, store).score(items)
    expected = scores_of(store, name)["score"].to_numpy()
    assert np.allclose(again["score"].to_numpy(), expected, atol=1e-5)


def scores_of(store: LocalStore, name: str) -> pa.Table:
    return read_scores(store.read(score_key(name, "validation")))


def assert_same_training(
    laid_out: tuple[TrialOutcome, Notebook], plain: tuple[TrialOutcome, Notebook]
) -> None:
    """The same losses and gradient norms at every step, and a model that scores alike."""
    for metric in ("train/loss", "train/gradient_norm"):
        expected = plain[1].metric(metric)
        assert len(expected) > 1
        assert laid_out[1].metric(metric) == pytest.approx(expected, rel=1e-3), metric
    margin = "eval/validation/margin"
    assert laid_out[0].metrics[margin] == pytest.approx(plain[0].metrics[margin], abs=1e-3)


def has_a_rank_without_images(config: TrainerConfig) -> bool:
    """Whether a rank's micro batch has text alone while the other's at that time shows images."""
    items = training_items(config.data)
    order = training_order(config, items)

    def shown(step: int, rank: int) -> list[bool]:
        gang = Gang(rank=rank, size=config.machine.workers, device=torch.device("cpu"))
        chunks = rank_chunks(config, items, order.step(step), gang, padded=False)
        return [any(items[index].images for index in chunk) for chunk in chunks]

    steps = range(config.total_steps)
    return any(
        one != other
        for step in steps
        for one, other in zip(shown(step, 0), shown(step, 1), strict=True)
    )
