"""Merges: several trained models whose weights are averaged into one. Torch-free.

Invariant: a merge is named by what is averaged, so that its scores are found again and never taken
for another's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config import TrainerConfig
from trainer.identity import SCORING_VERSION, digest, scoring_settings
from trainer.members.ensemble_file import ModelReference

MERGING_VERSION = "2"
"""Raised whenever the same models would be averaged into another."""


def architecture(config: TrainerConfig) -> Mapping[str, Any]:
    """What models must have in common for the mean of their weights to be a model.

    Of training only what the score depends on afterwards: dropout and the head's initial scale may
    differ between models that are averaged, and what they are shown of a text may not.
    """
    return {
        "backbone": config.backbone.model_dump(),
        "paradigm": config.paradigm,
        "head": config.head.model_dump(exclude={"dropout", "initial_scale"}),
        "strategy.length_normalization": config.strategy.length_normalization,
        "data.max_prompt_tokens": config.data.max_prompt_tokens,
        "data.max_response_tokens": config.data.max_response_tokens,
        "judge or critic": scoring_settings(config),
    }


def merge_identity(models: Sequence[ModelReference]) -> str:
    """Names the average of these models' weights, 64 hex digits; their order makes no difference.

    Of their files, not their trials: a model trained anew under the same identity is another.
    """
    merged = sorted(model.model_digest for model in models)
    return digest({"merged": merged, "version": MERGING_VERSION})


def merge_score_key(models: Sequence[ModelReference], benchmark: str) -> str:
    """Object key of a merge's scores on one benchmark."""
    return f"merges/{merge_identity(models)}/scores-{SCORING_VERSION}/{benchmark}.parquet"
