"""Every family and paradigm in gangs under ZeRO: batches that hang elsewhere, the same losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.object_store import LocalStore
from tests.trainer.gangs.laid_out import (
    assert_same_training,
    assert_saved_whole,
    has_a_rank_without_images,
    train,
)
from tests.trainer.tiny_models import KINDS, VISION_KINDS, tiny_backbone
from tests.trainer.trials import small_config
from trainer.config import Paradigm, TrainerConfig


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def mixed_config(folder: Path, kind: str, **sections: Any) -> TrainerConfig:  # noqa: ANN401 -- any settings
    """Two steps whose micro batches show an image on one rank and none on the other."""
    sees = kind in VISION_KINDS
    weights = {"scenes": 1.0, "text": 2.0} if sees else {"text": 1.0}
    values: dict[str, Any] = {
        "data": {"pairs": 8, "weights": weights},
        "strategy": {
            "batch_pairs": 4,
            "learning_rate": 1e-3,
            "freeze": {"vision": not sees, "projector": not sees},
        },
        "evaluation": {"benchmarks": {"validation": {"parts": dict.fromkeys(weights, 3)}}},
    }
    return small_config(folder, **values | sections)


def layout(stage: int, **machine: Any) -> dict[str, Any]:  # noqa: ANN401 -- any settings
    return {"workers": 2, "zero_stage": stage, "micro_batch_pairs": 1, **machine}


def assert_gangs_train_as_one_rank(
    folder: Path,
    kind: str,
    store: LocalStore,
    stages: tuple[int, ...],
    **sections: Any,  # noqa: ANN401 -- any settings
) -> None:
    plain = train(mixed_config(folder, kind, **sections), store, "plain")
    for stage in stages:
        config = mixed_config(folder, kind, machine=layout(stage), **sections)
        assert kind not in VISION_KINDS or has_a_rank_without_images(config)

        assert_same_training(train(config, store, f"stage-{stage}"), plain)
        assert_saved_whole(store, f"stage-{stage}", config)


WRITES_LITTLE = {
    "critic": {"max_critique_tokens": 4},
    "judge": {"reasoning": True, "max_written_tokens": 4},
}
OTHERS = tuple(kind for kind in KINDS if kind != "qwen2_5_vl")
"""The one that is left out goes through every layout in `test_entrypoint`."""


@pytest.mark.parametrize("kind", OTHERS)
def test_images_and_text_alone_train_at_stage_3_in_every_family_as_in_one_rank(
    kind: str, store: LocalStore, tmp_path: Path
) -> None:
    tiny_backbone(kind).save(tmp_path / kind)

    assert_gangs_train_as_one_rank(tmp_path / kind, kind, store, (3,))


@pytest.mark.parametrize(
    ("paradigm", "kind"),
    [
        ("critic", "qwen2_5_vl"),
        ("generative", "qwen2_5_vl"),
        # Its vision tower has a weight that no layer owns, gathered in a whole forward pass only.
        ("critic", "llava_onevision"),
    ],
)
def test_what_writes_trains_at_stage_3_as_in_one_rank(
    paradigm: Paradigm, kind: str, store: LocalStore, tmp_path: Path
) -> None:
    tiny_backbone(kind).save(tmp_path / kind)
    assert_gangs_train_as_one_rank(
        tmp_path / kind, kind, store, (3,), paradigm=paradigm, **WRITES_LITTLE
    )


@pytest.mark.slow
@pytest.mark.parametrize("paradigm", ["scalar", "critic", "generative"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_family_and_paradigm_trains_at_every_stage_as_in_one_rank(
    kind: str, paradigm: Paradigm, store: LocalStore, tmp_path: Path
) -> None:
    tiny_backbone(kind).save(tmp_path / kind)
    assert_gangs_train_as_one_rank(
        tmp_path / kind, kind, store, (1, 2, 3), paradigm=paradigm, **WRITES_LITTLE
    )
