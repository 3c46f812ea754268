"""What benchmarks share with training and with one another, by content, whatever it is called."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.errors import DataError
from tests.trainer.trials import small_config
from trainer.config import DataConfig
from trainer.data.mixture import benchmark_items, items_by_benchmark, training_items
from trainer.data.overlaps import (
    SeenOverlaps,
    check_held_out,
    shared_items,
    shared_with_what_was_seen,
)
from trainer.evaluation.overlap_metrics import overlaps
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig

MIX = DataConfig(weights={"scenes": 2, "digits": 1, "text": 1}, pairs=402)


def test_an_item_that_is_trained_on_and_held_out_is_noticed() -> None:
    trained = training_items(MIX)

    with pytest.raises(DataError, match=r"3 held-out items share an image or a prompt"):
        check_held_out(trained, trained[-3:])


def test_items_are_told_by_their_content_not_by_what_they_are_called() -> None:
    parts: dict[str, Any] = {"scenes": 20, "text": 20}
    items = benchmark_items(MIX, BenchmarkConfig(split="validation", parts=parts))
    others = benchmark_items(MIX, BenchmarkConfig(split="test", parts=parts))
    renamed = [replace(item, item_id=f"new-{item.item_id}", group_id="other") for item in items]

    assert shared_items(others, items) == []
    assert shared_items([*renamed[:3], *renamed[-2:]], items) == [*items[:3], *items[-2:]]


def _write(path: Path, prompts: list[str]) -> None:
    path.write_text(
        "".join(
            json.dumps({"prompt": prompt, "chosen": "A good answer.", "rejected": "A bad one."})
            + "\n"
            for prompt in prompts
        )
    )


def _files(folder: Path) -> dict[str, Any]:
    """Validation, test and training from three files, of which two prompts are in more than one."""
    named = {
        "trained": [f"Of training {number}?" for number in range(30)],
        "chosen": [f"Of validation {number}?" for number in range(10)],
        "judged": [
            *(f"Of test {number}?" for number in range(8)),
            "Of training 7?",
            "Of validation 3?",
        ],
    }
    for name, prompts in named.items():
        _write(folder / f"{name}.jsonl", prompts)
    splits = {"trained": "train", "chosen": "validation", "judged": "test"}
    return {
        "weights": {"trained": 1},
        "pairs": 30,
        "sources": {
            name: {
                "kind": "file",
                "settings": {"path": str(folder / f"{name}.jsonl"), "split": split},
            }
            for name, split in splits.items()
        },
    }


def test_a_benchmark_that_came_after_training_is_compared_with_all_that_was_seen(
    tmp_path: Path,
) -> None:
    chosen = {"validation": {"split": "validation", "parts": {"chosen": "all"}}}
    config = small_config(tmp_path, data=_files(tmp_path), evaluation={"benchmarks": chosen})
    later = EvaluationConfig(
        benchmarks={"later": BenchmarkConfig(split="test", parts={"judged": "all"})}
    )
    items = items_by_benchmark(config.data, later)

    found = shared_with_what_was_seen(config, later, items)

    assert found == {
        "later": {"items_shared_with_training": 1.0, "items_shared_with_validation": 1.0}
    }
    said = overlaps(found["later"])
    assert len(said) == 2
    assert said[0].startswith("1 items hold an image, or without one a prompt, of training items")
    (tmp_path / "chosen.jsonl").unlink()
    assert shared_with_what_was_seen(config, later, items) == {
        "later": {"items_shared_with_training": 1.0}
    }, "what is not here is not vouched for"


def test_trainings_on_the_same_data_are_looked_through_once_by_a_command(tmp_path: Path) -> None:
    config = small_config(tmp_path, data=_files(tmp_path))
    later = EvaluationConfig(
        benchmarks={"later": BenchmarkConfig(split="test", parts={"judged": "all"})}
    )
    items = items_by_benchmark(config.data, later)
    seen = SeenOverlaps()
    found = seen.of(config, later, items)
    (tmp_path / "trained.jsonl").unlink()

    other_seed = config.model_copy(update={"seed": 7})
    assert seen.of(other_seed, later, items) == found
    assert found["later"]["items_shared_with_training"] == 1.0
    assert SeenOverlaps().of(config, later, items) == {}
