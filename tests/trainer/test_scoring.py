"""Scoring with saved models and ensembles, without ranks."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from infra.errors import CorruptObjectError, InputError, MissingError
from infra.object_store import LocalStore
from tests.trainer.trials import small_config
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.data.mixture import benchmark_items
from trainer.evaluation.evaluate import Benchmark, evaluate
from trainer.evaluation.metrics import benchmark_metrics, response_scores
from trainer.evaluation_config import BenchmarkConfig
from trainer.gangs.gang import Gang
from trainer.model.backbone import read_backbone
from trainer.model.model_files import folder_digest, load_model, save_model, store_model
from trainer.model.reward_model import RewardModel
from trainer.scores import read_scores
from trainer.scoring import evaluate_model, every_core, load_reward_model
from trainer.scoring_files import score_file

BENCHMARK = BenchmarkConfig(split="test", parts={"scenes": 6, "text": 6})


def test_every_core_is_used_while_scoring_and_no_longer() -> None:
    torch.set_num_threads(1)

    with every_core():
        assert torch.get_num_threads() == (os.cpu_count() or 1)

    assert torch.get_num_threads() == 1


@pytest.fixture(scope="module")
def config(backbone_folder: Path) -> TrainerConfig:
    return small_config(backbone_folder)


@pytest.fixture(scope="module")
def items(config: TrainerConfig) -> list[PreferenceItem]:
    return benchmark_items(config.data, BENCHMARK)


@pytest.fixture(scope="module")
def store(
    backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LocalStore, dict[str, str]]:
    """Three models: two scalar ones of different seeds and a judge."""
    store = LocalStore(tmp_path_factory.mktemp("store"))
    digests = {}
    models: dict[str, dict[str, Any]] = {
        "first": {"seed": 1},
        "second": {"seed": 2},
        "judge": {"paradigm": "generative"},
    }
    for name, sections in models.items():
        config = small_config(backbone_folder, **sections)
        model = RewardModel(read_backbone(backbone_folder), config)
        digests[name] = store_model(model, store, name)
    return store, digests


def ensemble(
    folder: Path,
    store: LocalStore,
    digests: dict[str, str],
    **changes: Any,  # noqa: ANN401
) -> Path:
    weights = {"first": 0.5, "second": 0.3, "judge": 0.2}
    members = [
        {
            "label": f"{name} seed 0",
            "models": [{"identity": name, "store": store.uri, "model_digest": digests[name]}],
            "weight": weight,
            "normalization": {"kind": "unchanged"}
            if name == "first"
            else {"kind": "z_score", "mean": 0.5, "std": 2.0},
        }
        for name, weight in weights.items()
    ]
    page = {
        "version": 2,
        "name": "three",
        "method": "greedy",
        "members": members,
        "rule": {"kind": "weighted_sum", "weights": list(weights.values())},
        "temperature": 0.5,
        "selected_on": {"benchmark": "validation", "items": 10},
        "evidence": {},
        "created": "2026-01-01T00:00:00Z",
        "sweeps": [],
    }
    path = folder / "ensemble.json"
    path.write_text(json.dumps(page | changes))
    return path


@pytest.mark.parametrize("paradigm", ["scalar", "critic", "generative"])
def test_a_saved_model_loads_to_the_same_scores(
    paradigm: str, backbone_folder: Path, items: list[PreferenceItem], tmp_path: Path
) -> None:
    from trainer.scoring import ModelScorer

    config = small_config(backbone_folder, paradigm=paradigm, critic={"max_critique_tokens": 4})
    model = RewardModel(read_backbone(backbone_folder), config)
    save_model(model, tmp_path / "model", identity="t")

    before = ModelScorer(model).score(items)
    after = load_reward_model(tmp_path / "model").score(items)

    assert after.equals(before)
    suffixes = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".jinja", ".txt", ".model"}


def test_a_model_whose_vision_was_trained_encodes_images_in_its_own_precision(
    backbone_folder: Path, items: list[PreferenceItem], tmp_path: Path
) -> None:
    config = small_config(
        backbone_folder, strategy={"precision": "bf16", "freeze": {"vision": False}}
    )
    model = RewardModel(read_backbone(backbone_folder), config)
    save_model(model, tmp_path / "model", identity="t")
    benchmark = Benchmark(
        name="scored",
        split="test",
        items=items,
        backbone=model.backbone,
        config=config,
        frozen_vision=False,
    )

    trained = evaluate(model, benchmark, Gang(0, 1, torch.device("cpu"))).table

    assert load_reward_model(tmp_path / "model").score(items).equals(trained)


def test_a_model_from_a_store_does_not_go_on_with_the_parts_of_another(
    store: tuple[LocalStore, dict[str, str]], tmp_path: Path
) -> None:
    models, _ = store
    prompts, out = tmp_path / "rows.jsonl", tmp_path / "s.parquet"
    row = {"prompt": "What is one plus one?", "responses": ["Two.", "Three."]}
    prompts.write_text(f"{json.dumps(row)}\n" * 10)

    def break_off(done: int, total: int) -> None:
        if done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(
            load_reward_model("first", models), prompts, out, chunk_rows=4, progress=break_off
        )
    assert list(tmp_path.glob("s.parquet.parts/member-*"))
    outcome = score_file(load_reward_model("second", models), prompts, out, chunk_rows=4)

    assert outcome.resumed_parts == 0


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"holds no reward_model\.json"):
        load_reward_model(tmp_path)
    with pytest.raises(MissingError, match=r"ensemble\.json or a folder"):
        load_reward_model(tmp_path / "nothing.json")
    (tmp_path / "reward_model.json").write_text("{}")
    with pytest.raises(CorruptObjectError, match="does not describe"):
        load_model(tmp_path)


def test_a_new_benchmark_is_scored_without_training(
    config: TrainerConfig, store: tuple[LocalStore, dict[str, str]]
) -> None:
    metrics = evaluate_model(store[0], "first", config, {"fresh": BENCHMARK})["fresh"]

    (key,) = store[0].keys("trials/first/scores/fresh/")  # named by what it was scored on and how
    table = read_scores(store[0].read(key))
    (blind,) = store[0].keys("trials/first/scores/fresh_text_only/")
    twin = read_scores(store[0].read(blind))
    assert set(twin["modality"].to_pylist()) == {"image"}
    shared = {"items_shared_with_training": 0.0, "items_shared_with_validation": 0.0}
    assert metrics == benchmark_metrics(table, twin=twin) | shared
    assert 0 <= metrics["baseline_text_only"] <= 1
    assert metrics["pairs"] == 12
    assert set(table["benchmark"].to_pylist()) == {"fresh"}
    assert set(table["split"].to_pylist()) == {"test"}
    with pytest.raises(MissingError, match="has no model"):
        evaluate_model(store[0], "unknown", config, {"fresh": BENCHMARK})


class StoreThatLosesModels(LocalStore):
    """A local store whose models are gone once anything is written."""

    def write(self, key: str, data: bytes) -> None:
        shutil.rmtree(self.root / "trials" / "first" / "model", ignore_errors=True)
        super().write(key, data)


def test_a_model_is_loaded_once_for_all_benchmarks(
    config: TrainerConfig, store: tuple[LocalStore, dict[str, str]], tmp_path: Path
) -> None:
    shutil.copytree(store[0].root, tmp_path / "losing")
    losing = StoreThatLosesModels(tmp_path / "losing")

    metrics = evaluate_model(losing, "first", config, {"fresh": BENCHMARK, "again": BENCHMARK})

    assert metrics["fresh"] == metrics["again"]


def test_an_ensemble_is_the_weighted_sum_of_normalised_scores(
    items: list[PreferenceItem], store: tuple[LocalStore, dict[str, str]], tmp_path: Path
) -> None:
    path = ensemble(tmp_path, *store)

    table = load_reward_model(path).score(items)

    parts = {
        name: response_scores(load_reward_model(name, store[0]).score(items))["score"].to_numpy()
        for name in ("first", "second", "judge")
    }
    expected = (
        0.5 * parts["first"] + 0.3 * (parts["second"] - 0.5) / 2 + 0.2 * (parts["judge"] - 0.5) / 2
    )
    assert np.allclose(table["score"].to_numpy(), expected / 0.5, atol=1e-12)
    assert table["item_id"].to_pylist() == [item.item_id for item in items for _ in range(2)]
    assert set(table["order"].to_pylist()) == {0}


def test_a_member_that_is_not_the_one_selected_is_refused(
    items: list[PreferenceItem], store: tuple[LocalStore, dict[str, str]], tmp_path: Path
) -> None:
    wrong = store[1] | {"second": "0" * 64}

    with pytest.raises(CorruptObjectError, match="build the ensemble again"):
        load_reward_model(ensemble(tmp_path, store[0], wrong)).score(items)


def test_an_unreadable_ensemble_file_names_what_is_wrong(
    store: tuple[LocalStore, dict[str, str]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="version"):
        load_reward_model(ensemble(tmp_path, *store, version=1))
    with pytest.raises(InputError, match="members"):
        load_reward_model(ensemble(tmp_path, *store, members=[]))


def test_the_digest_covers_every_file(backbone_folder: Path, tmp_path: Path) -> None:
    model = RewardModel(read_backbone(backbone_folder), small_config(backbone_folder))
    save_model(model, tmp_path, identity="t")
    before = folder_digest(tmp_path)

    (tmp_path / "config.json").write_text("{}")

    assert folder_digest(tmp_path) != before
