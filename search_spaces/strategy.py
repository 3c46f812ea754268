"""The `strategy` axis: what is asked of the training beyond the plain loss (paper, Figure 1)."""

from __future__ import annotations

from typing import Any

from search_spaces.levels import Level, ShippedAxis
from trainer.config import TrainerConfig

_SCORES = "paradigm != 'generative'"
_PLAIN = {
    "strategy.zero_coefficient": 0,
    "strategy.length_normalization": False,
    "strategy.label_smoothing": 0,
    "strategy.use_margin": False,
    "strategy.use_soft_labels": False,
    "strategy.ties": "drop",
    "strategy.loss": "bradley_terry",
}


def _head_first(baseline: TrainerConfig) -> list[dict[str, Any]]:
    resting = baseline.strategy.freeze.model_copy(update={"language_model": True})
    return [{"share": 0.2, "freeze": resting.model_dump()}, {"share": 0.8}]


def _levels(baseline: TrainerConfig) -> tuple[Level, ...]:
    strategy = baseline.strategy
    frozen = dict.fromkeys(
        ("strategy.freeze.vision", "strategy.freeze.projector", "strategy.freeze.language_model"),
        True,
    )
    return (
        Level(name="plain", patch=_PLAIN, doc="the ranking loss alone (the paper's choice)"),
        Level(
            name="zero_coefficient",
            patch={"strategy.zero_coefficient": 0.01},
            doc="keep the two scores' sum near zero, weight 0.01 (a common default elsewhere)",
        ),
        Level(
            name="length_normalization",
            patch={"strategy.length_normalization": True},
            doc="divide scores by log(tokens + 1)",
        ),
        Level(
            name="label_smoothing",
            patch={"strategy.label_smoothing": 0.1},
            doc="assume every tenth label is wrong",
        ),
        Level(
            name="margin",
            patch={"strategy.use_margin": True},
            doc="ask for the annotator's margin between the scores",
        ),
        Level(
            name="noise_robust",
            patch={"strategy.label_smoothing": 0.1, "strategy.noise_correction": "forward"},
            doc="the likelihood of labels of which every tenth is wrong",
        ),
        Level(
            name="soft_labels",
            patch={"strategy.use_soft_labels": True},
            doc="take the annotators' agreement for the probability of the label",
        ),
        Level(
            name="tie_loss",
            patch={"strategy.ties": "rao_kupper"},
            doc="learn from tied responses, too (the data has to keep them)",
        ),
        Level(
            name="whole_order",
            patch={"strategy.loss": "plackett_luce"},
            doc="rank all responses at once; the same as the baseline where there are two",
        ),
        Level(
            name="quarter_rate",
            patch={"strategy.learning_rate": strategy.learning_rate / 4},
            doc="a quarter of the baseline's learning rate",
        ),
        Level(
            name="fourfold_rate",
            patch={"strategy.learning_rate": strategy.learning_rate * 4},
            doc="four times the baseline's learning rate",
        ),
        Level(
            name="muon",
            patch={"strategy.optimizer": "muon"},
            doc="Muon for the backbone's matrices, AdamW for the rest (ZeRO stage 0 only)",
        ),
        Level(
            name="lora",
            patch={"strategy.lora.rank": 16},
            doc="low-rank adapters in the backbone instead of its weights",
        ),
        Level(
            name="head_first",
            patch={"strategy.phases": _head_first(baseline)},
            doc="a fifth of the steps for the head alone, then all",
        ),
        Level(
            name="two_passes",
            patch={"strategy.epochs": strategy.epochs * 2},
            doc="see every pair twice as often as the baseline",
        ),
        Level(
            name="free_vision",
            patch={"strategy.freeze.vision": False, "strategy.freeze.projector": False},
            doc="train the vision tower and the projector too",
            cost_hint=1.3,
        ),
        Level(
            name="head_only",
            patch=frozen,
            doc="train nothing but the head",
            cost_hint=0.4,  # no backward pass through the backbone
        ),
    )


AXIS = ShippedAxis(
    name="strategy",
    doc="What is asked of the training beyond the plain ranking loss.",
    levels=_levels,
    inactive_unless={
        "strategy.zero_coefficient": _SCORES,
        "strategy.length_normalization": _SCORES,
        "strategy.use_margin": _SCORES,
        "strategy.loss": _SCORES,
        "strategy.pair_loss": _SCORES,
        "strategy.pair_loss_settings": _SCORES,
        "strategy.noise_correction": "strategy.label_smoothing > 0",
        "strategy.momentum": "strategy.optimizer == 'muon'",
        "strategy.epochs": "strategy.steps == null",
        "strategy.rate_factors.head": _SCORES,
        "strategy.lora.alpha": "strategy.lora.rank >= 1",
        "strategy.lora.dropout": "strategy.lora.rank >= 1",
        "strategy.lora.targets": "strategy.lora.rank >= 1",
        "strategy.tie_weight": "strategy.ties != 'drop'",
        "strategy.tie_threshold": f"{_SCORES} and strategy.ties == 'rao_kupper'",
    },
)
