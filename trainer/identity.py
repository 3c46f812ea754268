"""Identities: what makes two trainings the same training, and two evaluations the same.

A training identity covers what changes the trained weights and nothing else: no hardware, no
benchmark, no name, and no setting that is inactive (the activation of a one-layer head).
Of a head or loss that an installed package brings it holds the name and the package's version.
Torch-free, because plans are made where torch is not.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from trainer.config import DecontaminationConfig, TrainerConfig
from trainer.extensions import release_of
from trainer.head_config import BUILT_IN_HEAD
from trainer.strategy_config import BUILT_IN_PAIR_LOSS

TRAINER_VERSION = "2"
"""Raised whenever the same config would train other weights."""

SCORING_VERSION = "2"
"""Raised whenever the same model would score an item differently."""


SWITCHED_OFF: Mapping[str, Any] = {
    "head.kind": BUILT_IN_HEAD,
    "head.settings": {},
    "head.learn_scale": False,
    "head.hidden_layer": None,
    "strategy.loss": "bradley_terry",
    "strategy.pair_loss": BUILT_IN_PAIR_LOSS,
    "strategy.pair_loss_settings": {},
    "strategy.use_soft_labels": False,
    "strategy.ties": "drop",
    "strategy.optimizer": "adamw",
    "strategy.rate_factors": {},
    "strategy.steps": None,
    "strategy.phases": [],
    "data.temperature": None,
    "data.caps": {},
    "data.max_prompt_tokens": None,
    "data.max_response_tokens": None,
    "data.duplicates": "keep",
    "data.decontaminate": DecontaminationConfig().model_dump(mode="json"),
}
"""Options that change nothing at these values. They are left out then, so that a new option
renames no training that came before it."""

_MIX_LISTS = ("leave_out", "add_in")

PENDING = "pending"
"""Stands for a digest that cannot be had yet; an identity made with it is provisional."""


def canonical_json(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    """One text per value: sorted keys, no spaces, integral floats as integers.

    Raises:
        ValueError: If the value holds NaN, an infinity, or what JSON cannot say.
    """
    return json.dumps(
        _normal(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    """Sha256 of the canonical JSON, 64 hex digits.

    Raises:
        ValueError: As `canonical_json`.
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def active_settings(config: TrainerConfig) -> dict[str, Any]:
    """The settings that change the trained weights, inactive ones dropped.

    Raises:
        InputError: If no installed package brings the head or the loss.
    """
    settings = config.model_dump(mode="json", exclude={"evaluation", "machine"})
    if config.paradigm != "critic":
        del settings["critic"]
    else:
        del settings["critic"]["max_critique_tokens"]  # only evaluation writes critiques
    judge = settings.pop("judge")
    if config.paradigm == "generative":
        del settings["head"]
        if config.judge.reasoning:  # what else there is only matters to evaluation
            settings["judge"] = {"reasoning_weight": judge["reasoning_weight"]}
    elif config.head.kind != BUILT_IN_HEAD:
        settings["head"]["release"] = release_of("rmsweep.heads", config.head.kind)
    elif config.head.layers == 1:
        del settings["head"]["activation"]
        del settings["head"]["hidden_size"]
    settings["strategy"] = _active_strategy(config, settings["strategy"])
    settings["data"] = _active_data(config, settings["data"])
    for path, off in SWITCHED_OFF.items():
        section, _, name = path.rpartition(".")
        if section in settings and settings[section].get(name, _ABSENT) == off:
            del settings[section][name]
    if config.backbone.path is not None:
        settings["backbone"] = {"path": config.backbone.path}
    return settings


def _active_data(config: TrainerConfig, settings: dict[str, Any]) -> dict[str, Any]:
    """The mix as it is drawn: lists applied to the weights, what is not drawn left out."""
    data = config.data
    weights = data.mix
    total = sum(weights.values())
    named = {*weights, *data.decontaminate.against}
    active = {name: value for name, value in settings.items() if name not in _MIX_LISTS}
    return active | {
        "weights": {name: weight / total for name, weight in weights.items()},
        "sources": {name: data.source(name).model_dump(mode="json") for name in sorted(named)},
        "caps": {name: cap for name, cap in data.caps.items() if name in weights},
    }


def _active_strategy(config: TrainerConfig, settings: dict[str, Any]) -> dict[str, Any]:
    strategy = config.strategy
    judges = config.paradigm == "generative"
    settings["rate_factors"] = {
        part: factor
        for part, factor in settings["rate_factors"].items()
        if factor != 1 and not (judges and part == "head")
    }
    if strategy.pair_loss != BUILT_IN_PAIR_LOSS and not judges:
        settings["pair_loss_release"] = release_of("rmsweep.losses", strategy.pair_loss)
    inactive = {
        "zero_coefficient": judges,
        "length_normalization": judges,
        "use_margin": judges,
        "loss": judges,
        "pair_loss": judges,
        "pair_loss_settings": judges,
        "noise_correction": strategy.label_smoothing == 0,
        "tie_weight": strategy.ties == "drop",
        "tie_threshold": judges or strategy.ties != "rao_kupper",
        "momentum": strategy.optimizer != "muon",
        "epochs": strategy.steps is not None,
        "lora": strategy.lora.rank == 0,
    }
    return {name: value for name, value in settings.items() if not inactive.get(name)}


def training_identity(
    config: TrainerConfig, *, data_digests: Mapping[str, str], backbone_digest: str
) -> str:
    """Name of the weights this config trains, 64 hex digits.

    Args:
        config: The whole config; what does not change the weights is left out here.
        data_digests: Content digest of every source with a positive weight, by source name.
        backbone_digest: Content digest of the backbone's files, or `PENDING`, as any of the above.
    """
    before, after = identity_text(
        config, data_digests=data_digests, backbone_digest=backbone_digest
    )
    return identity_with_seed(before, after, config.seed)


def identity_text(
    config: TrainerConfig, *, data_digests: Mapping[str, str], backbone_digest: str
) -> tuple[str, str]:
    """The canonical text a training identity is the digest of, cut where the seed stands.

    Trainings that differ only in their seed share it; a plan of thousands makes it once per arm.
    Where content has a digest its place does not matter: the same file elsewhere trains the same.
    """
    settings = active_settings(config)
    if PENDING not in (backbone_digest, *data_digests.values()):
        del settings["backbone"], settings["data"]["sources"]
    earlier = {name: value for name, value in settings.items() if name < "seed"}
    later = {name: value for name, value in settings.items() if name > "seed"}
    before = (
        f'{{"backbone":{canonical_json(backbone_digest)},"data":{canonical_json(data_digests)},'
        f'"settings":{canonical_json(earlier)[:-1]},"seed":'
    )
    return before, f',{canonical_json(later)[1:]},"trainer":{canonical_json(TRAINER_VERSION)}}}'


def identity_with_seed(before: str, after: str, seed: int) -> str:
    """The identity of the training `identity_text` describes, with this seed."""
    return hashlib.sha256(f"{before}{seed}{after}".encode()).hexdigest()


def scoring_settings(config: TrainerConfig) -> dict[str, Any]:
    """The settings that change a trained model's scores, but not its weights."""
    if config.paradigm == "critic":
        return {"max_critique_tokens": config.critic.max_critique_tokens}
    if config.paradigm == "generative" and config.judge.writes:
        judge = config.judge
        return {"verdict": judge.verdict, "max_written_tokens": judge.max_written_tokens}
    return {}


def evaluation_identity(config: TrainerConfig, *, model_digest: str, benchmark_digest: str) -> str:
    """Name of one model's scores on one benchmark, 64 hex digits.

    Args:
        config: What the model is scored under; only `scoring_settings` count.
        model_digest: Of the model's files.
        benchmark_digest: Of the items.
    """
    named = {"scoring": SCORING_VERSION, "model": model_digest, "benchmark": benchmark_digest}
    settings = scoring_settings(config)
    # Left out where there are none, so that scores known before keep their name.
    return digest(named | {"settings": settings} if settings else named)


_ABSENT = object()


def _normal(value: Any) -> Any:  # noqa: ANN401 -- any JSON value
    if value is None or isinstance(value, str | int):  # most values; a Mapping is slow to ask for
        return value
    if isinstance(value, Mapping):
        return {str(key): _normal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"an identity cannot hold {value}")
        return int(value) if value.is_integer() else value
    return value
