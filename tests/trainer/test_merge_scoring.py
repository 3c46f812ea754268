"""The average of several models' weights, scored as the model it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from infra.errors import CorruptObjectError, InputError
from infra.object_store import LocalStore
from tests.trainer.trials import small_config
from trainer.config import TrainerConfig
from trainer.data.mixture import benchmark_items
from trainer.evaluation_config import BenchmarkConfig
from trainer.members.combining import WeightedSum
from trainer.members.ensemble_file import EnsembleFile, EnsembleMember, ModelReference
from trainer.members.member_models import GIB
from trainer.members.merges import merge_identity, merge_score_key
from trainer.members.normalizing import Unchanged
from trainer.merge_scoring import score_merge
from trainer.model.backbone import read_backbone
from trainer.model.model_files import save_model, store_model
from trainer.model.reward_model import RewardModel
from trainer.model.weight_averaging import average_weights
from trainer.record import model_prefix
from trainer.scoring import EnsembleScorer, ModelScorer

BENCHMARK = BenchmarkConfig(split="test", parts={"scenes": 6})


def _stored(store: LocalStore, name: str, config: TrainerConfig, folder: Path) -> ModelReference:
    kept = store_model(RewardModel(read_backbone(folder), config), store, name)
    return ModelReference(identity=name, store=store.uri, model_digest=kept)


def test_a_merge_scores_as_the_mean_of_its_models_weights(
    backbone_folder: Path, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)
    config = small_config(backbone_folder)
    models = [
        _stored(store, f"m{seed}", small_config(backbone_folder, seed=seed), backbone_folder)
        for seed in range(3)
    ]

    tables = score_merge(models, config, {"test": BENCHMARK})

    mean = average_weights([store.root / model_prefix(model.identity) for model in models])
    expected = ModelScorer(mean).score(
        benchmark_items(config.data, BENCHMARK), benchmark="test", split="test"
    )
    assert tables["test"].equals(expected)
    alone = ModelScorer(average_weights([store.root / model_prefix("m0")])).score(
        benchmark_items(config.data, BENCHMARK), benchmark="test", split="test"
    )
    assert not alone.equals(expected)


def test_words_that_are_read_and_written_with_one_weight_are_averaged_once(
    backbone_folder: Path, tmp_path: Path
) -> None:
    config = small_config(backbone_folder)
    models = []
    for added in (0.0, 1.0, 5.0):
        model = RewardModel(read_backbone(backbone_folder), config)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(added)
        save_model(model, tmp_path / str(added), identity="a")
        models.append(model)
    module = models[0].module
    assert module.get_input_embeddings().weight is module.get_output_embeddings().weight

    mean = average_weights([tmp_path / name for name in ("0.0", "1.0", "5.0")]).state_dict()

    for name, value in models[0].state_dict().items():
        expected = value + 2.0 if value.is_floating_point() else value
        assert torch.allclose(mean[name], expected, atol=1e-4), name


def test_averages_beside_the_models_they_are_made_of_stay_within_the_memory(
    backbone_folder: Path, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)
    configs = [small_config(backbone_folder, seed=seed) for seed in range(3)]
    one, two, three = (
        _stored(store, f"m{config.seed}", config, backbone_folder) for config in configs
    )
    voices = [(one,), (one, three), (two, three), (one, two), (three, one)]
    members = tuple(
        EnsembleMember(label="voice", models=models, weight=0.2, normalization=Unchanged())
        for models in voices
    )
    ensemble = EnsembleFile(
        version=2,
        name="voices",
        method="average",
        members=members,
        rule=WeightedSum(weights=(0.2,) * len(voices)),
        temperature=1,
    )
    model = RewardModel(read_backbone(backbone_folder), configs[0])
    limit = int(3.2 * sum(4 * weight.numel() for weight in model.parameters()))

    for models in EnsembleScorer(ensemble, memory_gib=limit / GIB).rounds():
        weights = {id(p): p for each in models.values() for p in each.model.parameters()}
        assert sum(4 * weight.numel() for weight in weights.values()) <= limit


def test_models_that_cannot_be_averaged_or_were_changed_are_refused(
    backbone_folder: Path, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)
    config = small_config(backbone_folder)
    one = _stored(store, "one", config, backbone_folder)
    deep = small_config(backbone_folder, head={"layers": 1 if config.head.layers > 1 else 2})
    other = _stored(store, "other", deep, backbone_folder)
    changed = one.model_copy(update={"model_digest": "0" * 64})

    with pytest.raises(InputError, match="differ in head"):
        score_merge([one, other], config, {"test": BENCHMARK})
    with pytest.raises(CorruptObjectError, match="was selected with"):
        score_merge([changed, one], config, {"test": BENCHMARK})


def test_a_merge_is_named_by_its_models_files_in_any_order() -> None:
    one, other = (
        ModelReference(identity=name, store="file:/s", model_digest=name * 64) for name in "ab"
    )
    anew = one.model_copy(update={"model_digest": "c" * 64})

    assert merge_identity([one, other]) == merge_identity([other, one])
    assert merge_score_key([one, other], "test") != merge_score_key([anew, other], "test")
