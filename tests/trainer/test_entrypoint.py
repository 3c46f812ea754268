"""Whole trials in real ranks: what they learn, what they leave, and that layout changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from infra.object_store import LocalStore
from tests.trainer.data.pair_file_writing import text_row, write_rows
from tests.trainer.gangs.laid_out import (
    assert_same_training,
    assert_saved_whole,
    has_a_rank_without_images,
    scores_of,
    train,
)
from tests.trainer.trials import small_config
from trainer.config import Paradigm
from trainer.data.mixture import benchmark_digest, benchmark_items
from trainer.head_config import CriticConfig
from trainer.identity import evaluation_identity
from trainer.model.model_files import fetch_model
from trainer.scores import read_scores, score_key
from trainer.scoring import evaluate_model, load_reward_model


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_a_trial_leaves_what_is_promised_and_nothing_else(
    backbone_folder: Path, store: LocalStore
) -> None:
    config = small_config(backbone_folder, evaluation={"during": [0.5]})

    outcome, notebook = train(config, store, "t")

    assert (outcome.finished, outcome.step, outcome.fraction) == (True, 4, 1.0)
    assert outcome.metrics["eval/validation/pairs"] == 10
    assert outcome.metrics["cost/device_seconds"] > 0
    assert [report.step for report in notebook.reports] == [1, 2, 3, 4]
    # Begun at the evaluation, written while training goes on, told with the report after it.
    kept = [report.checkpoint and report.checkpoint.step for report in notebook.reports]
    assert kept == [None, None, 2, None]
    left = {key.removeprefix("trials/t/").partition("/")[0] for key in store.keys("trials/t/")}
    assert left == {"record.json", "metrics.jsonl", "logs", "scores", "model"}
    record = json.loads(store.read("trials/t/record.json"))
    assert record["config"] == config.model_dump(mode="json")
    assert record["attempts"][0]["outcome"]["model_digest"] == outcome.model_digest
    assert set(record["data_digests"]) == {"scenes"}
    lines = store.read("trials/t/metrics.jsonl").decode().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


@pytest.mark.parametrize("paradigm", ["scalar", "critic", "generative"])
def test_every_paradigm_overfits_sixteen_pairs(
    paradigm: Paradigm, backbone_folder: Path, store: LocalStore
) -> None:
    config = small_config(
        backbone_folder,
        paradigm=paradigm,
        data={"pairs": 16},
        strategy={"batch_pairs": 16, "epochs": 60, "learning_rate": 3e-3, "warmup": 0.05},
    )

    _, notebook = train(config, store, paradigm)

    assert notebook.metric("train/accuracy")[-1] == 1.0


def test_a_saved_model_gives_the_very_scores_the_trained_one_gave(
    backbone_folder: Path, store: LocalStore, tmp_path: Path
) -> None:
    config = small_config(backbone_folder, strategy={"length_normalization": True})
    outcome, _ = train(config, store, "t")

    digest = fetch_model(store, "t", tmp_path / "model")
    benchmark = config.evaluation.benchmarks["validation"]
    scorer = load_reward_model(tmp_path / "model")
    table = scorer.score(
        benchmark_items(config.data, benchmark), benchmark="validation", split="validation"
    )

    assert digest == outcome.model_digest
    assert table.equals(scores_of(store, "t"))
    assert not list((tmp_path / "model").rglob("*.bin"))


LAYOUTS: dict[str, dict[str, Any]] = {
    "accumulating": {"micro_batch_pairs": 2},
    "two ranks": {"workers": 2},
    "ZeRO 1": {"workers": 2, "zero_stage": 1, "micro_batch_pairs": 1},
    "ZeRO 2": {"workers": 2, "zero_stage": 2},
    "ZeRO 3": {"workers": 2, "zero_stage": 3, "micro_batch_pairs": 2},
}


def test_ranks_stages_and_micro_batches_do_not_change_the_training(
    backbone_folder: Path, store: LocalStore
) -> None:
    # Images, text alone and a trained vision tower: the mix that makes gangs hang elsewhere.
    sections: dict[str, Any] = {
        "data": {"pairs": 24, "weights": {"scenes": 1.0, "text": 2.0}},
        "strategy": {
            "batch_pairs": 8,
            "learning_rate": 1e-3,
            "freeze": {"vision": False, "projector": False},
        },
        "head": {"pooling": "attention", "learn_scale": True},
        "evaluation": {"benchmarks": {"validation": {"parts": {"scenes": 6, "text": 6}}}},
    }
    plain = train(small_config(backbone_folder, **sections), store, "plain")

    for name, machine in LAYOUTS.items():
        config = small_config(backbone_folder, machine=machine, **sections)
        assert config.machine.workers == 1 or has_a_rank_without_images(config), name
        identity = name.replace(" ", "-")
        laid_out = train(config, store, identity)

        assert_same_training(laid_out, plain)
        assert_saved_whole(store, identity, config)


def test_one_and_two_ranks_score_the_same_model_identically(
    backbone_folder: Path, store: LocalStore
) -> None:
    # Updates below float32's resolution: both trials end with the very weights they began with.
    still: dict[str, Any] = {
        "strategy": {"batch_pairs": 8, "learning_rate": 1e-30},
        "data": {"pairs": 8, "max_response_tokens": 3},
        "evaluation": {"benchmarks": {"validation": {"parts": {"scenes": 70, "text": 70}}}},
        "paradigm": "critic",
        "critic": {"max_critique_tokens": 5},
    }

    one, _ = train(small_config(backbone_folder, **still), store, "one")
    two, _ = train(small_config(backbone_folder, machine={"workers": 2}, **still), store, "two")

    assert scores_of(store, "one").equals(scores_of(store, "two"))
    kinds = ("eval/", "data/")
    measured = {name: value for name, value in one.metrics.items() if name.startswith(kinds)}
    assert measured == {name: two.metrics[name] for name in measured}
    assert measured["eval/validation/pairs_source_text"] == 70
    assert measured["data/cut_responses"] == 16


def test_what_is_reported_stands_beside_what_the_text_alone_reaches(
    backbone_folder: Path, store: LocalStore
) -> None:
    reported = {
        "seen": {"split": "test", "parts": {"scenes": 6, "text": 4}},
        "read": {"split": "test", "parts": {"text": 6}},
    }
    config = small_config(
        backbone_folder, data={"pairs": 8}, evaluation={"benchmarks": reported, "monitor": "none"}
    )

    outcome, _ = train(config, store, "t")

    told = {name for name in outcome.metrics if name.endswith("baseline_text_only")}
    assert told == {"eval/seen/baseline_text_only"}
    tables = {key.rpartition("/")[2] for key in store.keys("trials/t/scores/")}
    assert tables == {"seen.parquet", "seen_text_only.parquet", "read.parquet"}


def test_ranks_that_score_in_different_numbers_of_batches_wait_for_one_another(
    backbone_folder: Path, store: LocalStore, tmp_path: Path
) -> None:
    # Of 64 long rows one rank makes several batches, of the last 6 the other one makes one.
    rows = [text_row(number, chosen=f"{number} " + "circle " * 300) for number in range(70)]
    path = write_rows(tmp_path / "long.jsonl", rows)
    source = {"kind": "file", "settings": {"path": str(path), "split": "validation"}}
    still: dict[str, Any] = {
        "strategy": {"batch_pairs": 8, "learning_rate": 1e-30},
        "data": {"pairs": 8, "sources": {"long": source}},
        "evaluation": {"benchmarks": {"validation": {"parts": {"long": "all"}}}},
    }

    train(small_config(backbone_folder, **still), store, "one")
    ranks = {"workers": 2, "zero_stage": 3}
    train(small_config(backbone_folder, machine=ranks, **still), store, "two")

    assert scores_of(store, "one").equals(scores_of(store, "two"))


def test_scores_made_under_other_settings_lie_beside_those_the_training_ended_with(
    backbone_folder: Path, store: LocalStore
) -> None:
    config = small_config(
        backbone_folder, paradigm="critic", critic={"max_critique_tokens": 6}, data={"pairs": 8}
    )
    outcome, _ = train(config, store, "t")
    assert 0 < outcome.metrics["cost/written_tokens"] <= 6 * 20
    own = scores_of(store, "t")
    benchmark = config.evaluation.benchmarks["validation"]
    digest = benchmark_digest(config.data, benchmark)

    def scored(words: int) -> pa.Table:
        asked = config.model_copy(update={"critic": CriticConfig(max_critique_tokens=words)})
        evaluate_model(store, "t", asked, {"validation": benchmark})
        name = evaluation_identity(
            asked, model_digest=str(outcome.model_digest), benchmark_digest=digest
        )
        return read_scores(store.read(score_key("t", "validation", evaluation=name)))

    few, same = scored(1), scored(6)

    assert scores_of(store, "t").equals(own)
    assert np.allclose(same["score"].to_numpy(), own["score"].to_numpy(), atol=1e-5)
    assert not np.allclose(few["score"].to_numpy(), own["score"].to_numpy(), atol=1e-5)


def test_low_precision_stays_close_and_never_ties(backbone_folder: Path, store: LocalStore) -> None:
    exact, _ = train(small_config(backbone_folder), store, "exact")
    config = small_config(backbone_folder, strategy={"precision": "bf16"})

    rough, _ = train(config, store, "rough")

    name = "eval/validation/margin"
    assert rough.metrics[name] == pytest.approx(exact.metrics[name], abs=0.05)
    assert rough.metrics["eval/validation/ties"] == 0
    assert (
        scores_of(store, "rough")["score"].to_pylist()
        != scores_of(store, "exact")["score"].to_pylist()
    )
