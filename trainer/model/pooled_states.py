"""Pooled states of a frozen backbone: computed once per content, shared between trials.

When a trial trains nothing but its head, every pass over the data would compute the same pooled
states again, in this trial and in the next one that only tries another head. They are computed in
batches fixed by the items alone and kept in the object store under a digest of all that they
depend on, so whoever comes first leaves the very bits the next one would have computed.
Letters: I items, N branches of all items in order, H hidden size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from safetensors.torch import load, save
from torch import nn

from infra.object_store import ObjectStore
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.evaluation.evaluate import scoring_batches, work
from trainer.gangs.gang import Gang
from trainer.identity import SCORING_VERSION, TRAINER_VERSION, digest
from trainer.kept_places import POOLED_STATES
from trainer.model.kept_tensors import fetched, packed
from trainer.model.pooling import pool
from trainer.model.reward_model import RewardModel
from trainer.phases import is_ever_free
from trainer.prompting.examples import Examples, KnownStates, ModelBatch
from trainer.prompting.text_cutting import TextLimits

LIMIT_BYTES = 4 * 1024**3
"""Of the pooled states of one list of items; beyond it they are computed as they are needed."""

BATCH_ITEMS = 16
"""Items whose states are computed together, unless they take too many tokens."""


def only_the_head_trains(model: RewardModel) -> bool:
    """Whether a branch's pooled state is the same at every step: nothing below the head moves."""
    if model.config.paradigm != "scalar" or model.config.head.pooling == "attention":
        return False
    module = model.backbone.module
    text = module.config.get_text_config()
    still = not any(is_ever_free(model.config, part) for part in model.backbone.parts())
    random = bool(getattr(text, "attention_dropout", 0.0)) or any(
        part.p > 0 for part in module.modules() if isinstance(part, nn.Dropout)
    )
    return still and not random


def states_key(config: TrainerConfig, items: Sequence[PreferenceItem], backbone_digest: str) -> str:
    """Where the pooled states of these items lie in an object store."""
    told = hashlib.sha256()
    for item in items:
        text = [item.prompt, [response.text for response in item.responses]]
        told.update(json.dumps([*text, [image.key for image in item.images]]).encode())
    facts = {
        "backbone": backbone_digest,
        "items": told.hexdigest(),
        "limits": [config.data.max_prompt_tokens, config.data.max_response_tokens],
        "pooling": config.head.pooling,
        "hidden_layer": config.head.hidden_layer,
        "precision": config.strategy.precision,
        "versions": [TRAINER_VERSION, SCORING_VERSION],
    }
    return f"{POOLED_STATES}{digest(facts)}.safetensors"


class PooledStates:
    """Finds or computes the pooled states of lists of items, for one model."""

    def __init__(
        self,
        model: RewardModel,
        *,
        store: ObjectStore,
        gang: Gang,
        backbone_digest: str | None,
    ) -> None:
        self._model = model
        self._store = store
        self._gang = gang
        self._digest = backbone_digest

    def give(self, examples: Examples) -> bool:
        """Let these examples come with their states from now on; every rank takes part.

        Returns:
            False when they would take more than `LIMIT_BYTES`, and nothing was done.
        """
        items = examples.items
        branches = sum(len(item.responses) for item in items)
        if branches * self._model.backbone.hidden_size * 4 > LIMIT_BYTES:
            return False
        key = None
        if self._digest is not None:
            key = states_key(self._model.config, items, self._digest)
        tensors = fetched(self._store, key, self._gang) if key is not None else None
        if tensors is None:
            tensors = self._computed(items)
            if key is not None and self._gang.leads:
                self._store.write(key, packed(tensors))
        examples.know(_opened(tensors, items))
        return True

    @torch.no_grad()
    def _computed(self, items: Sequence[PreferenceItem]) -> dict[str, torch.Tensor]:
        config = self._model.config
        order = np.argsort([work(item) for item in items], kind="stable")
        chunks = [
            order[start : start + BATCH_ITEMS].tolist()
            for start in range(0, len(items), BATCH_ITEMS)
        ]
        training = self._model.training
        self._model.eval()
        mine = chunks[self._gang.rank :: self._gang.size]
        parts = [self._chunk(items, chunk, config) for chunk in mine]
        self._model.train(training)
        told = self._gang.gather(save(_joined(parts)) if parts else b"")
        everyone = [load(part) for part in told if part]
        whole = _joined(everyone)
        places = whole.pop("places").argsort()
        return {name: tensor[places].contiguous() for name, tensor in whole.items()}

    def _chunk(
        self, items: Sequence[PreferenceItem], chunk: list[int], config: TrainerConfig
    ) -> dict[str, torch.Tensor]:
        """Of a chunk, by branch: its state, its place among all branches, and token counts."""
        examples = Examples(
            [items[index] for index in chunk],
            self._model.backbone,
            config.paradigm,
            critiques=False,
            frozen_vision=False,
            chunks=[range(len(chunk))],
            share_prompts=config.machine.share_prompts,
            limits=TextLimits.of(config.data),
        )
        batches = scoring_batches(examples, range(len(chunk)))
        read = [self._read(examples.batch(batch)) for batch in batches]
        starts = [0, *accumulate(len(item.responses) for item in items)]
        places = [starts[i] + k for i in chunk for k in range(len(items[i].responses))]
        return _joined(read) | {"places": torch.tensor(places)}

    def _read(self, batch: ModelBatch) -> dict[str, torch.Tensor]:
        head = self._model.head
        assert head is not None
        _, states, rows = self._model.read(batch)
        prompts = [e.prompt_tokens for e in batch.examples for _ in e.response_tokens]
        responses = [tokens for e in batch.examples for tokens in e.response_tokens]
        return {
            "pooled": pool(states, rows, self._model.config.head.pooling, head).cpu(),
            "prompt_tokens": torch.tensor(prompts),
            "response_tokens": torch.tensor(responses),
        }


def _joined(parts: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _opened(tensors: dict[str, torch.Tensor], items: Sequence[PreferenceItem]) -> KnownStates:
    return KnownStates(
        pooled=tensors["pooled"],
        prompt_tokens=tensors["prompt_tokens"].tolist(),
        response_tokens=tensors["response_tokens"].tolist(),
        starts=[0, *accumulate(len(item.responses) for item in items)],
    )
