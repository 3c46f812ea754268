"""A patch changes what it names and nothing else, or says which path it got wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.findings import InvalidSettings
from search_spaces.patches import apply_patch, locate, setting, setting_paths
from trainer.config import DataConfig, TrainerConfig

BASELINE = TrainerConfig()


def problems(patch: dict[str, Any], config: TrainerConfig = BASELINE) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        apply_patch(config, patch)
    return [str(problem) for problem in caught.value.problems]


def test_a_dotted_path_changes_one_setting() -> None:
    changed = apply_patch(BASELINE, {"head.layers": 3})

    assert changed.head.layers == 3
    assert changed.head.activation == BASELINE.head.activation
    assert BASELINE.head.layers == 2


def test_a_mapping_given_to_a_section_changes_what_it_names() -> None:
    config = apply_patch(BASELINE, {"head.activation": "tanh"})

    changed = apply_patch(config, {"head": {"layers": 3}, "strategy": {"freeze.vision": False}})

    assert (changed.head.layers, changed.head.activation) == (3, "tanh")
    assert changed.strategy.freeze.vision is False
    assert changed.strategy.freeze.projector is True


def test_a_mapping_given_to_a_table_replaces_it_and_a_path_changes_one_entry() -> None:
    config = apply_patch(BASELINE, {"data.weights": {"scenes": 1, "text": 1}})

    assert apply_patch(config, {"data.weights": {"digits": 1}}).data.weights == {"digits": 1}
    assert apply_patch(config, {"data.weights.digits": 0.2}).data.weights == {
        "scenes": 1,
        "text": 1,
        "digits": 0.2,
    }


def test_an_entry_of_a_table_may_have_dots_in_its_name() -> None:
    assert apply_patch(BASELINE, {"data.weights.v1.2": 1}).data.weights["v1.2"] == 1


def test_free_settings_of_a_source_are_reached_by_path() -> None:
    config = apply_patch(BASELINE, {"data.sources": {"mine": {"kind": "file"}}})

    changed = apply_patch(config, {"data.sources.mine.settings.path": "pairs.jsonl"})

    assert changed.data.source("mine").settings == {"path": "pairs.jsonl"}


def test_later_keys_win() -> None:
    patch = {"head.layers": 3, "head": {"layers": 4}}

    assert apply_patch(BASELINE, patch).head.layers == 4


def test_every_unknown_path_and_wrong_value_is_named_at_once() -> None:
    assert problems(
        {
            "head.layer": 3,
            "lerning_rate": 1,
            "head": {"activaton": "silu", "dropout": 2},
            "strategy.learning_rate": "fast",
            "head.layers.deep": 1,
            "head..layers": 1,
            "data.weights": {"scenes": -1},
        }
    ) == [
        "head.layer: unknown setting 'head.layer'; did you mean 'head.layers'?",
        "lerning_rate: unknown setting 'lerning_rate'; did you mean 'strategy.learning_rate'?",
        "head.activaton: unknown setting 'head.activaton'; did you mean 'head.activation'?",
        "head.layers.deep: unknown setting 'head.layers.deep': "
        "head.layers is a single value, it holds no settings",
        "head..layers: unknown setting 'head..layers'; did you mean 'head.layers'?",
        "head.dropout: expected a number below 1.0, came the number 2",
        "strategy.learning_rate: expected a number, came the text 'fast'",
        "data.weights.scenes: expected a number of at least 0.0, came the number -1",
    ]


def test_settings_that_do_not_fit_together_are_refused() -> None:
    found = problems({"machine.workers": 3})

    assert found == ["strategy.batch_pairs (64) must be a multiple of machine.workers (3)"]


def test_what_a_table_entry_lacks_is_named_by_its_whole_path() -> None:
    assert problems({"data.sources.mine.settings.path": "x"}) == [
        "data.sources.mine.settings.path: data.sources.mine.kind: "
        "expected a value, but the key is missing"
    ]


def test_values_that_are_no_plain_values_are_refused() -> None:
    assert "expected plain values" in problems({"data.sources": {"a": {"kind": object()}}})[0]


@pytest.mark.parametrize("path", setting_paths())
def test_every_listed_path_leads_somewhere(path: str) -> None:
    assert locate(path).location == tuple(path.split("."))


def test_a_setting_is_read_by_path_and_a_missing_entry_is_nothing() -> None:
    dumped = BASELINE.model_dump(mode="json")

    assert setting(dumped, "head.layers") == 2
    assert setting(dumped, "data.weights.digits") is None


@given(
    layers=st.integers(1, 5),
    rate=st.floats(1e-6, 1, allow_nan=False),
    weights=st.dictionaries(
        st.sampled_from(["scenes", "digits", "text"]), st.floats(0.125, 8), min_size=1
    ),
)
@settings(deadline=None, max_examples=50)
def test_a_patch_is_read_back_as_it_was_written(
    layers: int, rate: float, weights: dict[str, float]
) -> None:
    patch = {"head.layers": layers, "strategy.learning_rate": rate, "data.weights": weights}

    changed = apply_patch(BASELINE, patch)

    dumped = changed.model_dump(mode="json")
    assert {path: setting(dumped, path) for path in patch} == patch
    assert apply_patch(changed, patch) == changed
    assert changed.data == DataConfig(weights=weights)
