"""The `head` axis: depth and non-linearity of the reward head (paper, Table 2), and how it reads.

The paper varied depth and activation only; the levels that follow its rows change one thing of the
baseline's head each.
"""

from __future__ import annotations

from search_spaces.levels import Level, ShippedAxis
from trainer.config import TrainerConfig

_ROWS = (
    ("linear", 1, "none", "one linear layer"),
    ("2-none", 2, "none", "two linear layers, nothing between them"),
    ("2-tanh", 2, "tanh", "two layers, tanh between them"),
    ("2-silu", 2, "silu", "two layers, SiLU between them (the paper's choice)"),
    ("3-silu", 3, "silu", "three layers"),
    ("4-silu", 4, "silu", "four layers"),
    ("5-silu", 5, "silu", "five layers"),
)
_READING: tuple[tuple[str, str, str | bool, str], ...] = (
    ("last-token", "pooling", "last", "read the last token of the response"),
    ("mean", "pooling", "mean", "read the mean over the response"),
    ("attention", "pooling", "attention", "read a learned weighing of the response"),
    ("learned-scale", "learn_scale", True, "multiply scores by a learned factor"),
)


def _levels(baseline: TrainerConfig) -> tuple[Level, ...]:
    rows = tuple(
        Level(name=name, patch={"head.layers": layers, "head.activation": activation}, doc=doc)
        for name, layers, activation, doc in _ROWS
    )
    reading = tuple(
        Level(name=name, patch={f"head.{setting}": value}, doc=doc)
        for name, setting, value, doc in _READING
        if getattr(baseline.head, setting) != value
    )
    return rows + reading


AXIS = ShippedAxis(
    name="head",
    doc="Depth and non-linearity between the hidden state and the score, and how it is read.",
    levels=_levels,
    when="paradigm != 'generative'",
    inactive_unless={
        "head": "paradigm != 'generative'",
        "head.activation": "head.layers >= 2 or head.kind != 'layers'",
        "head.hidden_size": "head.layers >= 2 or head.kind != 'layers'",
    },
)
