"""A setting is called inactive by the spaces exactly when a training's identity ignores it."""

from __future__ import annotations

from typing import Any

import pytest

from search_spaces.axis_levels import Scalar
from search_spaces.catalog import setting_condition
from search_spaces.patches import apply_patch
from search_spaces.points import condition_holds
from trainer.config import TrainerConfig
from trainer.identity import active_settings

BASELINE = TrainerConfig()


@pytest.mark.parametrize("paradigm", ["scalar", "critic", "generative"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    "noise",
    [
        pytest.param({}, id="plain"),
        pytest.param(
            {
                "strategy.label_smoothing": 0.2,
                "strategy.ties": "square",
                "strategy.optimizer": "muon",
                "strategy.lora.rank": 2,
                "strategy.steps": 50,
            },
            id="noise, ties, muon, adapters",
        ),
    ],
)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("head.layers", 4),
        ("head.activation", "gelu"),
        ("head.hidden_size", 8),
        ("head.dropout", 0.5),
        ("head.pooling", "mean"),
        ("critic.critique_weight", 3),
        ("judge.reasoning", True),
        ("judge.reasoning_weight", 3),
        ("critic.score_weight", 3),
        ("strategy.zero_coefficient", 0.5),
        ("strategy.length_normalization", True),
        ("strategy.use_margin", True),
        ("strategy.learning_rate", 0.5),
        ("strategy.label_smoothing", 0.1),
        ("strategy.loss", "cross_entropy"),
        ("strategy.noise_correction", "forward"),
        ("strategy.use_soft_labels", True),
        ("strategy.ties", "rao_kupper"),
        ("strategy.tie_weight", 2),
        ("strategy.weight_decay", 0.5),
        ("strategy.momentum", 0.5),
        ("strategy.epochs", 9),
        ("strategy.steps", 9),
        ("strategy.rate_factors.head", 3),
        ("strategy.rate_factors.language_model", 3),
        ("strategy.lora.rank", 4),
        ("strategy.lora.alpha", 4),
        ("strategy.tie_threshold", 2),
        ("head.learn_scale", True),
        ("head.hidden_layer", 1),
        ("data.pairs", 64),
        ("backbone.scale", "xs"),
    ],
)
def test_a_setting_is_called_inactive_exactly_when_its_identity_ignores_it(
    paradigm: str, layers: int, noise: dict[str, Any], path: str, value: Scalar
) -> None:
    config = apply_patch(BASELINE, {"paradigm": paradigm, "head.layers": layers, **noise})
    assert_activity_is_told(config, path, value)


@pytest.mark.parametrize("paradigm", ["scalar", "critic", "generative"])
def test_the_threshold_of_ties_matters_where_scores_are_ranked(paradigm: str) -> None:
    config = apply_patch(BASELINE, {"paradigm": paradigm, "strategy.ties": "rao_kupper"})
    assert_activity_is_told(config, "strategy.tie_threshold", 2)


def assert_activity_is_told(config: TrainerConfig, path: str, value: Scalar) -> None:
    condition = setting_condition(path)

    active = condition is None or condition_holds(condition, config, {})

    changed = apply_patch(config, {path: value})
    assert active == (active_settings(changed) != active_settings(config))
