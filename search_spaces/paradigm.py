"""The `paradigm` axis: how a model turns into a reward (paper, Table 1)."""

from __future__ import annotations

from typing import Final

from search_spaces.levels import Level, ShippedAxis
from trainer.config import Paradigm, TrainerConfig

_DOCS: Final[dict[Paradigm, str]] = {
    "scalar": "a head on the last hidden state gives one score (the paper's Naive-RM)",
    "critic": "write a critique, then score prompt, response and critique (Critic-RM)",
    "generative": "see both responses and say which is better (GRM)",
}
# Sequences a pair costs: one tree for scalar; critiques lengthen both branches; the generative
# paradigm repeats the second response behind the first and reads the language head.
_COSTS: Final[dict[Paradigm, float]] = {"scalar": 1.0, "critic": 1.8, "generative": 1.3}
_REASONING: Final = 2.1


def _levels(baseline: TrainerConfig) -> tuple[Level, ...]:
    own = _COSTS[baseline.paradigm]
    plain = tuple(
        Level(name=name, patch={"paradigm": name}, doc=doc, cost_hint=_COSTS[name] / own)
        for name, doc in _DOCS.items()
    )
    reasoning = Level(
        name="reasoning",
        patch={"paradigm": "generative", "judge.reasoning": True},
        doc="see both responses, give reasons, then say which is better",
        cost_hint=_REASONING / own,
    )
    return (*plain, reasoning)


AXIS = ShippedAxis(
    name="paradigm",
    doc="How a model turns into a reward: a score, a critique and a score, or a verdict.",
    levels=_levels,
    inactive_unless={
        "critic": "paradigm == 'critic'",
        "judge": "paradigm == 'generative'",
        "judge.reasoning_weight": "judge.reasoning",
    },
)
