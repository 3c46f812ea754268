"""Mixes come out in their weights, and every arm is trained and measured on the same items."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import DataError
from tests.trainer.data.pair_file_writing import text_row, write_image, write_rows
from tests.trainer.data.text_shortcut import text_only_accuracy
from trainer.config import DataConfig, SourceConfig
from trainer.data.image_shuffling import with_shuffled_images
from trainer.data.items import PreferenceItem
from trainer.data.mixture import (
    benchmark_digest,
    benchmark_items,
    data_digests,
    largest_remainder,
    training_items,
)
from trainer.data.overlaps import check_held_out
from trainer.data.sources import open_source
from trainer.evaluation_config import BenchmarkConfig

MIX = DataConfig(weights={"scenes": 2, "digits": 1, "text": 1}, pairs=402)


@given(
    st.dictionaries(st.text("abcdefgh", min_size=1), st.floats(0, 1e6), min_size=1).filter(
        lambda weights: sum(weights.values()) > 1e-6
    ),
    st.integers(1, 10_000),
)
def test_shares_sum_to_the_total_and_miss_their_weight_by_less_than_one(
    weights: dict[str, float], total: int
) -> None:
    shares = largest_remainder(weights, total)

    assert sum(shares.values()) == total
    for name, share in shares.items():
        assert abs(share - total * weights[name] / sum(weights.values())) < 1 + 1e-6
        if weights[name] == 0:
            assert share == 0


@given(st.permutations(["a", "b", "c", "d"]))
def test_shares_do_not_depend_on_the_order_of_the_names(names: list[str]) -> None:
    weights = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 2.0}

    assert largest_remainder({name: weights[name] for name in names}, 7) == {
        "a": 2, "b": 1, "c": 1, "d": 3,
    }  # fmt: skip


def test_a_mix_has_every_source_in_its_share() -> None:
    items = training_items(MIX)

    assert Counter(item.source for item in items) == {"scenes": 201, "digits": 101, "text": 100}
    assert len({item.item_id for item in items}) == 402
    assert all(item.item_id.startswith(f"{item.source}/") for item in items)


def test_the_data_seed_chooses_the_items_and_nothing_else_does() -> None:
    again = DataConfig(weights={"text": 3, "digits": 3, "scenes": 6}, pairs=402)
    other = MIX.model_copy(update={"seed": 1})

    assert training_items(again) == training_items(MIX)
    assert data_digests(again) == data_digests(MIX)
    assert {i.item_id for i in training_items(other)} != {i.item_id for i in training_items(MIX)}
    assert all(data_digests(other)[name] != d for name, d in data_digests(MIX).items())


def test_a_source_named_by_the_user_is_its_own_source() -> None:
    config = DataConfig(
        weights={"easy": 1, "hard": 1},
        sources={
            name: SourceConfig(kind="scenes", settings={"difficulty": name})
            for name in ("easy", "hard")
        },
        pairs=100,
    )
    digests = data_digests(config)

    assert Counter(item.source for item in training_items(config)) == {"easy": 50, "hard": 50}
    assert digests["easy"] != digests["hard"]


def test_a_source_without_weight_is_neither_drawn_nor_opened() -> None:
    config = DataConfig(
        weights={"scenes": 1, "gone": 0},
        sources={"gone": SourceConfig(kind="file", settings={"path": "not/there.jsonl"})},
        pairs=10,
    )

    assert len(training_items(config)) == 10
    assert set(data_digests(config)) == {"scenes"}


@pytest.fixture
def small_file(tmp_path: Path) -> DataConfig:
    for number in range(60):
        write_image(tmp_path / f"{number}.png", number)
    rows = [text_row(n, prompt="What?", image=f"{n % 60}.png") for n in range(120)]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    source = SourceConfig(kind="file", settings={"path": str(path)})
    return DataConfig(weights={"mine": 1}, sources={"mine": source}, pairs=300)


def test_a_small_source_is_repeated_evenly(small_file: DataConfig) -> None:
    times = Counter(item.item_id for item in training_items(small_file))

    assert sum(times.values()) == 300
    assert max(times.values()) - min(times.values()) <= 1


def test_a_benchmark_larger_than_its_source_is_refused(small_file: DataConfig) -> None:
    with pytest.raises(
        DataError, match=r"asks for 200 test items of data source 'mine', which has"
    ):
        benchmark_items(small_file, BenchmarkConfig(split="test", parts={"mine": 200}))


@pytest.mark.parametrize("kind", ["scenes", "text"])
def test_all_of_a_source_without_an_end_is_refused(kind: str) -> None:
    every = BenchmarkConfig(split="test", parts={kind: "all"})

    for ask in (benchmark_items, benchmark_digest):
        with pytest.raises(DataError, match=f"all test items of data source '{kind}', which never"):
            ask(DataConfig(), every)


def test_all_of_the_digits_are_as_many_as_they_say() -> None:
    digits = open_source(SourceConfig(kind="digits"))
    sizes = [digits.size(split) for split in ("train", "validation", "test")]

    found = benchmark_items(DataConfig(), BenchmarkConfig(split="test", parts={"digits": "all"}))

    assert len(found) == sizes[2]
    assert sum(size or 0 for size in sizes) == 4 * 1797


def test_a_source_without_training_items_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [text_row(1)])
    settings = {"path": str(path), "split": "test"}
    source = SourceConfig(kind="file", settings=settings)

    with pytest.raises(DataError, match="'mine' has no training items"):
        training_items(DataConfig(weights={"mine": 1}, sources={"mine": source}))


def test_a_benchmark_is_the_same_for_every_mix_seed_and_noise() -> None:
    benchmark = BenchmarkConfig(split="test", parts={"scenes": 60, "digits": 30})
    noisy = DataConfig(
        weights={"text": 1},
        sources={"scenes": SourceConfig(kind="scenes", settings={"label_noise": 0.4})},
        seed=9,
    )

    assert benchmark_items(noisy, benchmark) == benchmark_items(MIX, benchmark)
    assert benchmark_digest(noisy, benchmark) == benchmark_digest(MIX, benchmark)


def test_training_never_sees_a_benchmark_s_groups() -> None:
    config = DataConfig(weights=MIX.weights, pairs=3000, seed=4)
    trained = training_items(config)

    for split in ("validation", "test"):
        parts = {"scenes": 100, "digits": 100, "text": 100}
        held_out = benchmark_items(config, BenchmarkConfig(split=split, parts=parts))
        check_held_out(trained, held_out)
        assert {i.group_id for i in trained}.isdisjoint(item.group_id for item in held_out)


def test_another_split_size_or_shuffle_is_another_benchmark() -> None:
    base = BenchmarkConfig(split="test", parts={"scenes": 50})
    others = [
        BenchmarkConfig(split="validation", parts={"scenes": 50}),
        BenchmarkConfig(split="test", parts={"scenes": 51}),
        BenchmarkConfig(split="test", parts={"digits": 50}),
        BenchmarkConfig(split="test", parts={"scenes": 50}, shuffle_images=True),
    ]

    assert len({benchmark_digest(MIX, each) for each in [base, *others]}) == 5


def shuffled_and_plain(**parts: int) -> list[tuple[PreferenceItem, PreferenceItem]]:
    plain = BenchmarkConfig(split="test", parts=parts)
    shuffled = plain.model_copy(update={"shuffle_images": True})
    seen = [item for item in benchmark_items(MIX, plain) if item.images]
    return list(zip(benchmark_items(MIX, shuffled), seen, strict=True))


def test_shuffled_items_have_another_group_s_image_and_nothing_else_new() -> None:
    for shuffled, plain in shuffled_and_plain(scenes=150, digits=80, text=40):
        assert (shuffled.item_id, shuffled.prompt, shuffled.responses, shuffled.group_id) == (
            plain.item_id, plain.prompt, plain.responses, plain.group_id,
        )  # fmt: skip
        assert len(shuffled.images) == len(plain.images)
        assert shuffled.images[0].key != plain.images[0].key


def test_shuffled_images_stay_in_their_source_and_category() -> None:
    pairs = shuffled_and_plain(scenes=200, digits=120)
    shown = {
        (plain.source, plain.category, image.key) for _, plain in pairs for image in plain.images
    }

    for shuffled, _ in pairs:
        assert (shuffled.source, shuffled.category, shuffled.images[0].key) in shown


def test_a_category_of_one_group_borrows_from_its_source(tmp_path: Path) -> None:
    for number in range(5):
        write_image(tmp_path / f"{number}.png", number)
    rows = [text_row(n, image=f"{n}.png", category="rare" if n == 0 else "c") for n in range(5)]
    source = SourceConfig(
        kind="file",
        settings={"path": str(write_rows(tmp_path / "r.jsonl", rows)), "split": "test"},
    )
    data = DataConfig(sources={"mine": source})
    benchmark = BenchmarkConfig(split="test", parts={"mine": 5})
    plain = benchmark_items(data, benchmark)

    for before, after in zip(plain, with_shuffled_images(plain), strict=True):
        assert before.images != after.images


def test_one_group_alone_cannot_be_shuffled() -> None:
    items = [item for item in training_items(MIX) if item.source == "scenes"]
    alone = [item for item in items if item.group_id == items[0].group_id]

    with pytest.raises(DataError, match="cannot be shuffled"):
        with_shuffled_images(alone)


def test_labels_say_nothing_of_a_shuffled_image() -> None:
    """With images taken from elsewhere what is left is the text, and that is near chance."""
    trained = training_items(DataConfig(pairs=2500))
    shuffled = [pair[0] for pair in shuffled_and_plain(scenes=400)]

    assert text_only_accuracy(trained, shuffled) <= 0.58
