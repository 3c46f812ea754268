"""From a benchmark's items to its score table: every item once, in batches fixed beforehand.

Chunks of items are dealt to the ranks and cut into batches by tokens: both follow from the items
alone, so the table does not depend on how many ranks scored it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from infra.errors import DivergedTrial
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.evaluation.critiques import write_critiques
from trainer.evaluation.judgements import write_judgements
from trainer.gangs.gang import Gang
from trainer.model.backbone import Backbone
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Batch, Example, Examples, Extent, ModelBatch
from trainer.prompting.prompts import presentations
from trainer.prompting.text_cutting import TextLimits
from trainer.scores import score_table
from trainer.training.objective import normalized_scores
from trainer.training.token_batches import tokens_taken

BATCH_ITEMS = 64
"""Items scored at once, at most."""

BATCH_TOKENS = 16_384
"""Of them all: long rows are scored a few at a time, so that a model that could be trained on a
device can be scored there. An item with more is scored alone."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A benchmark's scores and what they took."""

    table: pa.Table
    written_tokens: int
    """Tokens the model wrote before it scored: critiques, reasons, verdicts in words."""


class Benchmark:
    """The items of one benchmark, ready for one model."""

    def __init__(  # noqa: PLR0913 -- all by name
        self,
        *,
        name: str,
        split: str,
        items: Sequence[PreferenceItem],
        backbone: Backbone,
        config: TrainerConfig,
        frozen_vision: bool,
        batch_items: int = BATCH_ITEMS,
    ) -> None:
        self.name = name
        self.split = split
        self.chunks = _chunks(items, batch_items)
        self.examples = Examples(
            items,
            backbone,
            config.paradigm,
            critiques=False,
            frozen_vision=frozen_vision,
            chunks=self.chunks,
            limits=TextLimits.of(config.data),
            share_prompts=config.machine.share_prompts,
            judge=config.judge,
        )


@torch.no_grad()
def evaluate(model: RewardModel, benchmark: Benchmark, gang: Gang) -> Evaluation:
    """Score every response of a benchmark; every rank gets the whole table."""
    training = model.training
    model.eval()
    always = gang.size > 1 and gang.any(benchmark.examples.encoded_in_model)
    rows: list[tuple[int, dict[str, Any]]] = []
    written = 0
    rounds = -(-len(benchmark.chunks) // gang.size)
    for number in range(rounds):
        # Idle ranks score a batch for nothing: under ZeRO-3 a forward pass needs all of them.
        mine = number * gang.size + gang.rank
        idle = mine >= len(benchmark.chunks)
        batches = scoring_batches(benchmark.examples, benchmark.chunks[0 if idle else mine])
        for turn in range(gang.most(len(batches))):
            over = idle or turn >= len(batches)
            indices = batches[0 if over else turn]
            batch = benchmark.examples.model_batch(indices)
            scored, tokens = _score_batch(model, batch, gang, always=always)
            if not over:
                written += tokens
                for index, example, values in zip(indices, batch.examples, scored, strict=True):
                    rows += [(index, _row(benchmark, example, value)) for value in values]
    model.train(training)
    parts = gang.gather(json.dumps([rows, written]).encode())
    gathered = [json.loads(part) for part in parts]
    every = [row for part, _ in gathered for row in part]
    every.sort(key=lambda entry: (entry[0], entry[1]["order"], entry[1]["response"]))
    table = score_table([row for _, row in every])
    if not np.isfinite(table["score"].to_numpy()).all():
        raise DivergedTrial(
            f"the model gives scores that are not finite on {benchmark.name}; "
            "lower strategy.learning_rate"
        )
    return Evaluation(table, sum(tokens for _, tokens in gathered))


def _chunks(items: Sequence[PreferenceItem], size: int) -> list[list[int]]:
    """Items of like length together."""
    order = np.argsort([work(item) for item in items], kind="stable")
    return [order[start : start + size].tolist() for start in range(0, len(items), size)]


def scoring_batches(examples: Examples, chunk: Sequence[int]) -> list[list[int]]:
    """The items of a chunk in their order, as many at once as `BATCH_TOKENS` holds, padded."""
    batches: list[list[int]] = []
    held: list[Extent] = []
    for index, extent in zip(chunk, examples.extents(chunk), strict=True):
        held.append(extent)
        if not batches or tokens_taken(held, padded=examples.padded) > BATCH_TOKENS:
            batches.append([])
            held = [extent]
        batches[-1].append(index)
    return batches


def work(item: PreferenceItem) -> int:
    """About how long an item's row is, told without tokenizing it."""
    return len(item.prompt) + sum(len(response.text) for response in item.responses)


@dataclass(frozen=True, slots=True)
class _Score:
    response: int
    score: float
    order: int = 0
    parsed: bool = True


def _score_batch(
    model: RewardModel, batch: Batch, gang: Gang, *, always: bool
) -> tuple[list[list[_Score]], int]:
    written = 0
    if model.config.paradigm == "critic":
        assert isinstance(batch, ModelBatch)
        outputs, written = write_critiques(model, batch, gang, always_encode_images=always)
    elif model.config.writes:
        assert isinstance(batch, ModelBatch)
        outputs, written = write_judgements(model, batch, gang, always_encode_images=always)
    else:
        outputs = model(batch, always_encode_images=always)
    if model.config.paradigm == "generative":
        return _judged(outputs, batch.examples), written
    scores = normalized_scores(outputs["scores"], batch.examples, model.config).tolist()
    groups = []
    start = 0
    for example in batch.examples:
        count = len(example.item.responses)
        groups.append([_Score(i, scores[start + i]) for i in range(count)])
        start += count
    return groups, written


def _judged(outputs: dict[str, torch.Tensor], examples: Sequence[Example]) -> list[list[_Score]]:
    """A response's score in an order: mean log-probability of being named, over its opponents."""
    likelihood = outputs["verdicts"].double().tolist()
    parsed = outputs["parsed"].tolist()
    groups = []
    start = 0
    for example in examples:
        named: dict[tuple[int, int], list[float]] = {}
        clear: dict[tuple[int, int], bool] = {}
        for number, shown in enumerate(presentations(example.item)):
            order = number % 2
            both = zip((shown.first, shown.second), likelihood[start + number], strict=True)
            for response, value in both:
                named.setdefault((order, response), []).append(value)
                was_clear = clear.get((order, response), True)
                clear[order, response] = was_clear and parsed[start + number] > 0
        start += len(presentations(example.item))
        groups.append(
            [
                _Score(response, sum(values) / len(values), order, clear[order, response])
                for (order, response), values in named.items()
            ]
        )
    return groups


def _row(benchmark: Benchmark, example: Example, score: _Score) -> dict[str, Any]:
    item = example.item
    response = item.responses[score.response]
    return {
        "benchmark": benchmark.name,
        "split": benchmark.split,
        "item_id": item.item_id,
        "group_id": item.group_id,
        "category": item.category,
        "source": item.source,
        "modality": item.modality,
        "response": score.response,
        "rank": response.rank,
        "score": score.score,
        "order": score.order,
        "parsed": score.parsed,
        "margin": item.margin,
        "label_weight": item.label_weight,
        "prompt_tokens": example.prompt_tokens,
        "response_tokens": example.response_tokens[score.response],
        "response_characters": len(response.text),
    }
