"""What every `PreferenceSource` keeps; run over each of them in `test_sources`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from infra.errors import SpecError
from trainer.config import SourceConfig
from trainer.data.sources import PreferenceSource, open_source
from trainer.evaluation_config import Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class PreferenceSourceContract:
    """Give `config` and the number of items that every split surely has."""

    at_least = 40

    @pytest.fixture
    def config(self) -> SourceConfig:
        raise NotImplementedError

    @pytest.fixture
    def source(self, config: SourceConfig) -> PreferenceSource:
        return open_source(config)

    def test_no_group_image_or_wordless_prompt_is_in_two_splits(
        self, source: PreferenceSource
    ) -> None:
        seen: dict[str, str] = {}

        for split in SPLITS:
            for item in source.items(split, self.at_least, seed=0):
                exposed = [image.key for image in item.images] or [item.prompt]
                for name in (item.group_id, *exposed):
                    assert seen.setdefault(name, split) == split

    def test_another_seed_moves_no_group_across_splits(self, source: PreferenceSource) -> None:
        train = {item.group_id for item in source.items("train", self.at_least, seed=3)}
        test = {item.group_id for item in source.items("test", self.at_least, seed=0)}

        assert train.isdisjoint(test)

    def test_the_same_call_gives_the_same_items(self, config: SourceConfig) -> None:
        first = open_source(config).items("train", self.at_least, seed=5)
        again = open_source(config).items("train", self.at_least, seed=5)

        assert first == again

    def test_asking_for_more_only_adds_at_the_end(self, source: PreferenceSource) -> None:
        few = source.items("train", 7, seed=0)
        many = source.items("train", self.at_least, seed=0)

        assert len(few) == 7
        assert many[:7] == few

    def test_item_ids_are_unique(self, source: PreferenceSource) -> None:
        items = [item for split in SPLITS for item in source.items(split, self.at_least, seed=0)]

        assert len({item.item_id for item in items}) == len(items)

    def test_every_item_has_a_best_response_and_a_worse_one(self, source: PreferenceSource) -> None:
        for item in source.items("train", self.at_least, seed=0):
            ranks = [response.rank for response in item.responses]
            assert min(ranks) == 1 < max(ranks)
            assert len({response.text for response in item.responses}) == len(ranks)
            assert item.prompt
            assert all(response.text for response in item.responses)

    def test_the_order_of_the_responses_does_not_tell_the_best(
        self, source: PreferenceSource
    ) -> None:
        items = source.items("train", 400, seed=0)
        first = np.mean([item.responses[0].rank == 1 for item in items])

        # Five standard deviations of a fair coin.
        assert abs(first - 0.5) < 2.5 / np.sqrt(len(items))

    def test_images_are_rgb_and_equal_keys_are_equal_pixels(self, source: PreferenceSource) -> None:
        pixels: dict[str, bytes] = {}

        for item in source.items("validation", self.at_least, seed=0):
            for image in item.images:
                loaded = image.load()
                assert loaded.mode == "RGB"
                assert pixels.setdefault(image.key, loaded.tobytes()) == loaded.tobytes()

        assert len(set(pixels.values())) == len(pixels)

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda source: source.digest("train", 8, seed=0), id="another count"),
            pytest.param(lambda source: source.digest("train", 9, seed=1), id="another seed"),
            pytest.param(lambda source: source.digest("test", 9, seed=0), id="another split"),
        ],
    )
    def test_the_digest_changes_with_the_items(
        self, source: PreferenceSource, change: Callable[[PreferenceSource], str]
    ) -> None:
        assert change(source) != source.digest("train", 9, seed=0)

    def test_the_digest_is_the_same_in_a_fresh_source(self, config: SourceConfig) -> None:
        digests = {open_source(config).digest("train", 9, seed=0) for _ in range(2)}

        assert len(digests) == 1

    def test_an_unknown_setting_is_refused_with_the_nearest_name(
        self, config: SourceConfig
    ) -> None:
        known = next(iter(type(open_source(config)).settings_type.model_fields))  # type: ignore[attr-defined]
        wrong = config.model_copy(update={"settings": {**config.settings, f"{known}s": 1}})

        with pytest.raises(SpecError, match=f"did you mean '{known}'"):
            open_source(wrong)
