"""Label noise turns training labels round at its rate, and nothing else."""

from __future__ import annotations

import time

import pytest

from trainer.config import SourceConfig
from trainer.data.randomness import key_digest
from trainer.data.sources import PreferenceSource, open_source
from trainer.evaluation_config import Split

KINDS = ["scenes", "digits", "text"]


def opened(kind: str, **settings: object) -> PreferenceSource:
    return open_source(SourceConfig(kind=kind, settings=settings))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_noise_never_reaches_held_out_items(kind: str, split: Split) -> None:
    clean, noisy = opened(kind), opened(kind, label_noise=0.5)

    assert noisy.items(split, 50, seed=0) == clean.items(split, 50, seed=0)
    assert noisy.digest(split, 50, seed=0) == clean.digest(split, 50, seed=0)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_turns_training_labels_round_at_its_rate(kind: str) -> None:
    clean = opened(kind).items("train", 2000, seed=0)
    noisy = opened(kind, label_noise=0.2).items("train", 2000, seed=0)

    flipped = 0
    for before, after in zip(clean, noisy, strict=True):
        assert [r.text for r in before.responses] == [r.text for r in after.responses]
        assert before.images == after.images
        if before != after:
            flipped += 1
            assert {r.text for r in before.responses if r.rank == 1} == {
                r.text for r in after.responses if r.rank == 2
            }
            best = next(response for response in after.responses if response.rank == 1)
            assert best.critique.endswith("so this is right.")

    # Four standard deviations of a binomial.
    assert flipped / 2000 == pytest.approx(0.2, abs=0.036)


def test_more_noise_keeps_what_less_noise_turned_round() -> None:
    clean = opened("scenes").items("train", 800, seed=0)
    turned = [
        {item.item_id for item, other in zip(clean, noisy, strict=True) if item != other}
        for noisy in (
            opened("scenes", label_noise=share).items("train", 800, seed=0) for share in (0.1, 0.3)
        )
    ]

    assert turned[0] < turned[1]


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_part_of_the_training_digest(kind: str) -> None:
    digests = {opened(kind, label_noise=n).digest("train", 50, seed=0) for n in (0.0, 0.1, 0.2)}

    assert len(digests) == 3


def test_settings_that_say_the_default_aloud_have_the_same_digest() -> None:
    quiet = opened("scenes").digest("train", 50, seed=0)

    assert opened("scenes", difficulty="medium", image_size=56).digest("train", 50, seed=0) == quiet
    assert opened("scenes", difficulty="hard").digest("train", 50, seed=0) != quiet


def test_a_source_that_runs_out_gives_what_it_has() -> None:
    digits = opened("digits", categories=["digit"])
    items = [digits.items(split, 10_000, seed=0) for split in ("train", "validation", "test")]

    assert sum(len(part) for part in items) == 1797
    assert len(opened("text", categories=["order"]).items("test", 10_000, seed=0)) < 1000


@pytest.mark.parametrize(
    ("kind", "version", "golden"),
    [
        pytest.param("scenes", "1.1", "668094b9378ea8f9", id="scenes"),
        pytest.param("digits", "1", "c3f3cf0bf9bdf67f", id="digits"),
        pytest.param("text", "1", "76ecc2667c13aada", id="text"),
    ],
)
def test_items_have_not_changed_without_their_version(kind: str, version: str, golden: str) -> None:
    source = opened(kind)
    said = [
        (
            *(item.item_id, item.group_id, item.prompt, item.category),
            tuple(image.key for image in item.images),
            tuple((r.text, r.critique, r.rank) for r in item.responses),
        )
        for item in source.items("train", 300, seed=0)
    ]

    # When this fails, raise the version of the source, and write it and the new digest here:
    # a digest that stays the same while items change would have trials reused wrongly.
    assert getattr(source, "version", None) == version
    assert key_digest(*said)[:16] == golden


def test_four_thousand_items_take_well_under_two_seconds() -> None:
    source = opened("scenes")
    started = time.process_time()
    source.items("train", 4096, seed=0)

    assert time.process_time() - started < 2.0
