"""The feed: the next batch is prepared while this one is computed, and nothing else changes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from infra.errors import DataError
from tests.trainer.trials import short_backbone, small_config
from trainer.config import TrainerConfig
from trainer.data.images import open_image
from trainer.data.items import ImageReference, PreferenceItem
from trainer.data.mixture import training_items
from trainer.gangs.gang import Gang
from trainer.model.backbone import Backbone
from trainer.prompting.examples import Examples, ModelBatch
from trainer.training.batch_feed import BatchFeed

LONG = 60.0
"""Seconds until a thread that never comes fails the test; nothing waits so long otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class GatedImage:
    """An image that tells whoever listens that it is asked for, and comes when its gate is open."""

    image: ImageReference
    gate: threading.Event = field(default_factory=threading.Event)
    by: list[str] = field(default_factory=list)
    """Threads that asked."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listeners: list[threading.Event] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.image.key

    def when_asked(self, event: threading.Event) -> None:
        """Set the event then, or now if it has been."""
        with self._lock:
            self._listeners.append(event)
            if self.by:
                event.set()

    def load(self) -> Image.Image:
        with self._lock:
            self.by.append(threading.current_thread().name)
            for event in self._listeners:
                event.set()
        assert self.gate.wait(LONG)
        return self.image.load()


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return short_backbone()


@pytest.fixture
def config(tmp_path: Path) -> TrainerConfig:
    return small_config(
        tmp_path,
        data={"pairs": 12},
        strategy={"batch_pairs": 4},
        machine={"micro_batch_pairs": 2},
    )


def feed_of(
    items: Sequence[PreferenceItem], backbone: Backbone, config: TrainerConfig
) -> BatchFeed:
    examples = Examples(
        items, backbone, "scalar", critiques=True, frozen_vision=False, chunks=[range(len(items))]
    )
    return BatchFeed(examples, config, Gang(0, 1, torch.device("cpu")))


def gated(items: Sequence[PreferenceItem]) -> list[PreferenceItem]:
    return [replace(item, images=(GatedImage(item.images[0]),)) for item in items]


def image_of(item: PreferenceItem) -> GatedImage:
    (image,) = item.images
    assert isinstance(image, GatedImage)
    return image


def threads_of_feeds() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("rmsweep-prepare")]


def test_the_next_batch_is_prepared_while_this_one_is_computed(
    backbone: Backbone, config: TrainerConfig
) -> None:
    items = gated(training_items(config.data))
    with closing(feed_of(items, backbone, config)) as feed:
        first, second = feed.order.step(0), feed.order.step(1)
        for index in first:
            image_of(items[index]).gate.set()
        batches = feed.step(0)
        next(batches)
        _, last = next(batches)
        # The step's last micro batch is in the caller's hands and being computed. Nobody has asked
        # for the next one, and nobody can have it yet, but its images are asked for.
        assert last
        asked = threading.Event()
        waiting = [image_of(items[index]) for index in second]
        for image in waiting:
            image.when_asked(asked)
        assert asked.wait(LONG)
        for image in waiting:
            image.gate.set()
        assert list(batches) == []
        assert sum(len(batch.examples) for batch, _ in feed.step(1)) == len(second)

    loaded_by = {name for image in waiting for name in image.by}
    assert {name.rpartition("_")[0] for name in loaded_by} == {"rmsweep-prepare"}


def test_a_row_that_cannot_be_prepared_is_named_when_its_batch_is_due(
    backbone: Backbone, config: TrainerConfig, tmp_path: Path
) -> None:
    items = list(training_items(config.data))
    path = tmp_path / "gone.png"
    Image.new("RGB", (8, 8)).save(path)
    feed = feed_of(items, backbone, config)
    broken = feed.order.step(1)[0]
    items[broken] = replace(items[broken], images=(open_image(path),))
    path.unlink()
    with closing(feed_of(items, backbone, config)) as feed:
        assert len(list(feed.step(0))) == 2
        feed.settle()
        with pytest.raises(DataError) as told:
            list(feed.step(1))

    assert items[broken].item_id in str(told.value)
    assert str(path) in str(told.value)


def test_a_feed_that_is_closed_half_way_leaves_no_thread(
    backbone: Backbone, config: TrainerConfig
) -> None:
    items = training_items(config.data)
    before = threads_of_feeds()
    feed = feed_of(items, backbone, config)
    batches = feed.step(0)
    next(batches)
    assert len(threads_of_feeds()) == len(before) + 1

    feed.close()

    assert threads_of_feeds() == before


@pytest.mark.parametrize("machine", [{"micro_batch_pairs": 2}, {"micro_batch_tokens": 300}, {}])
def test_a_feed_that_begins_later_gives_the_very_batches_of_one_that_went_through(
    backbone: Backbone, tmp_path: Path, machine: dict[str, int]
) -> None:
    config = small_config(
        tmp_path, data={"pairs": 10}, strategy={"batch_pairs": 4, "epochs": 2}, machine=machine
    )
    items = training_items(config.data)

    def batches(first: int) -> list[tuple[list[str], torch.Tensor, bool]]:
        found = []
        with closing(feed_of(items, backbone, config)) as feed:
            for step in range(first, config.total_steps):
                for batch, last in feed.step(step):
                    assert isinstance(batch, ModelBatch)
                    names = [example.item.item_id for example in batch.examples]
                    found.append((names, batch.rows.input_ids, last))
        return found

    whole, resumed = batches(0), batches(2)

    later = whole[-len(resumed) :]
    assert 0 < len(resumed) < len(whole)
    for (names, ids, last), (names_again, ids_again, last_again) in zip(
        later, resumed, strict=True
    ):
        assert (names, last) == (names_again, last_again)
        assert torch.equal(ids, ids_again)
