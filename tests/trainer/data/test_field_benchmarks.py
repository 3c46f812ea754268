"""The field's benchmarks as parts of a config and as words on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import DataError, InputError, MissingError
from sweep.cli.benchmark_texts import benchmark_of
from sweep.cli.metrics_view import evaluation_lines
from tests.trainer.data.pair_file_writing import text_row, write_rows
from tests.trainer.data.published_rows import BENCHMARKS
from trainer.config import DataConfig, SourceConfig, TrainerConfig
from trainer.data.mixture import (
    benchmark_digest,
    benchmark_items,
    benchmark_suite,
    items_by_benchmark,
)
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig


@pytest.fixture
def judgebench(tmp_path: Path) -> Path:
    rows = [{**BENCHMARKS["judgebench"], "pair_id": str(n), "question": f"{n}?"} for n in range(9)]
    return write_rows(tmp_path / "judgebench.jsonl", rows)


def test_a_benchmark_of_the_field_is_taken_whole(judgebench: Path) -> None:
    source = SourceConfig(kind="judgebench", settings={"path": str(judgebench)})
    data = DataConfig(sources={"jb": source})
    whole = BenchmarkConfig(split="test", parts={"jb": "all"})
    items = benchmark_items(data, whole)

    assert sorted(item.item_id for item in items) == [f"jb/{n}" for n in range(9)]
    assert benchmark_suite(data, whole) == "judgebench"
    counted = BenchmarkConfig(split="test", parts={"jb": 9})
    assert benchmark_digest(data, counted) != benchmark_digest(
        data, BenchmarkConfig(split="test", parts={"jb": 8})
    )
    with pytest.raises(DataError, match="has no validation items"):
        benchmark_items(data, BenchmarkConfig(split="validation", parts={"jb": "all"}))


def test_a_mixed_benchmark_is_of_no_suite(judgebench: Path) -> None:
    source = SourceConfig(kind="judgebench", settings={"path": str(judgebench)})
    data = DataConfig(sources={"jb": source})

    assert benchmark_suite(data, BenchmarkConfig(parts={"jb": "all", "scenes": 3})) is None
    assert benchmark_suite(data, BenchmarkConfig(parts={"scenes": 3})) is None


def test_a_published_set_is_named_on_the_command_line(judgebench: Path) -> None:
    name, wanted, config = benchmark_of(f"jb=judgebench:{judgebench}", TrainerConfig())

    assert (name, wanted.parts, wanted.split) == ("jb", {"jb": "all"}, "test")
    assert len(benchmark_items(config.data, wanted)) == 9
    assert benchmark_suite(config.data, wanted) == "judgebench"


def test_a_file_of_pairs_and_all_of_a_source_are_named_too(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mine.jsonl", [text_row(n) for n in range(5)])
    _, wanted, config = benchmark_of(f"mine={path}", TrainerConfig())
    _, every, _ = benchmark_of("x:test:scenes=20,digits=all", TrainerConfig())

    assert len(benchmark_items(config.data, wanted)) == 5
    assert every.parts == {"scenes": 20, "digits": "all"}
    with pytest.raises(MissingError, match="no file of pairs"):
        benchmark_of("mine=nowhere.jsonl", TrainerConfig())
    with pytest.raises(InputError, match="whole number or all"):
        benchmark_of("x:test:scenes=some", TrainerConfig())


def test_a_text_twin_is_the_same_items_with_other_images() -> None:
    asked = {"scenes": {"split": "test", "parts": {"scenes": 40}}}
    evaluation = EvaluationConfig.model_validate({"benchmarks": asked})
    again = EvaluationConfig.model_validate(evaluation.model_dump())
    plain, twin = (
        benchmark_items(DataConfig(), evaluation.benchmarks[name])
        for name in ("scenes", "scenes_text_only")
    )

    assert again == evaluation
    assert set(again.benchmarks) == {"scenes", "scenes_text_only"}
    assert [item.item_id for item in plain] == [item.item_id for item in twin]
    assert all(a.images != b.images for a, b in zip(plain, twin, strict=True))


def test_what_is_reported_has_a_twin_and_what_selects_has_none_unless_asked_for() -> None:
    def names(**benchmark: Any) -> set[str]:  # noqa: ANN401 -- any setting
        return set(EvaluationConfig.model_validate({"benchmarks": {"b": benchmark}}).benchmarks)

    assert names(split="test") == {"b", "b_text_only"}
    assert names(split="test", text_twin=False) == {"b"}
    assert names(split="test", shuffle_images=True) == {"b"}
    assert names(split="validation") == {"b"}
    assert names(split="validation", text_twin=True) == {"b", "b_text_only"}
    assert set(EvaluationConfig().benchmarks) == {"validation", "test", "test_text_only"}
    longest = EvaluationConfig(benchmarks={"n" * 100: BenchmarkConfig(split="test")})
    assert EvaluationConfig.model_validate(longest.model_dump()) == longest


def test_a_benchmark_without_images_has_no_twin_to_score() -> None:
    texts = BenchmarkConfig(split="test", parts={"text": 9})
    mixed = BenchmarkConfig(split="test", parts={"text": 9, "scenes": 9})
    found = items_by_benchmark(
        DataConfig(), EvaluationConfig(benchmarks={"texts": texts, "mixed": mixed})
    )

    assert {name: len(items) for name, items in found.items()} == {
        "texts": 9, "mixed": 18, "mixed_text_only": 9,
    }  # fmt: skip
    asked = texts.model_copy(update={"shuffle_images": True})
    with pytest.raises(DataError, match="no item has an image"):
        items_by_benchmark(DataConfig(), EvaluationConfig(benchmarks={"asked": asked}))


def test_results_stand_beside_what_needs_no_model_and_no_picture() -> None:
    plain = {"accuracy": 0.7, "baseline_longer": 0.5, "baseline_first": 0.51}
    suite = {**plain, "overall": 0.7, "macro": 0.6, "baseline_longer_overall": 0.4,
             "baseline_longer_macro": 0.41, "baseline_first_overall": 1.0,
             "baseline_text_only_overall": 0.53, "baseline_text_only_macro": 0.52}  # fmt: skip

    assert evaluation_lines(plain) == [("accuracy", "0.7000", "0.5000", "0.5100", "-")]
    assert evaluation_lines(suite) == [
        ("overall", "0.7000", "0.4000", "1.0000", "0.5300"),
        ("macro", "0.6000", "0.4100", "-", "0.5200"),
    ]
