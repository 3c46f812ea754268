"""Score tables for tests, item by item or as counts of right answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from trainer.evaluation.metrics import benchmark_metrics
from trainer.scores import score_table

Scores = Sequence[float]
RIGHT, WRONG, TIE = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)
FOUR = (1, 2, 2, 2)
"""Ranks of one right response and three wrong ones."""


def rows(
    item: str,
    scores: Scores,
    *,
    category: str,
    ranks: Sequence[int] = (1, 2),
    lengths: Sequence[int] | None = None,
    order: int = 0,
    parsed: bool = True,
) -> list[dict[str, Any]]:
    shared: dict[str, Any] = {
        "benchmark": "b", "split": "test", "item_id": f"b/{item}", "group_id": item,
        "category": category, "source": "b", "modality": "image", "order": order, "parsed": parsed,
        "margin": None, "label_weight": 1.0, "prompt_tokens": 1, "response_tokens": 1,
    }  # fmt: skip
    characters = lengths or [1] * len(ranks)
    return [
        {**shared, "response": i, "rank": r, "score": s, "response_characters": length}
        for i, (r, s, length) in enumerate(zip(ranks, scores, characters, strict=True))
    ]


def counted(counts: Mapping[str, tuple[int, int]]) -> pa.Table:
    """So many right answers of so many items in each category."""
    every = [
        rows(f"{name}-{n}", RIGHT if n < right else WRONG, category=name)
        for name, (right, total) in counts.items()
        for n in range(total)
    ]
    return score_table([row for item in every for row in item])


def measured(table: pa.Table, suite: str) -> dict[str, float]:
    return benchmark_metrics(table, suite=suite)
