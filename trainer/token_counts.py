"""How many tokens a pair takes, told from its source alone; imports no torch.

For plans and layouts that are made before any data is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trainer.backbone_entries import BackboneEntry
from trainer.config import TrainerConfig
from trainer.data.adapters.adapter import adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """Typical tokens of one pair of a source."""

    prompt: int
    image: int
    response: int
    critique: int


_GENERATED = TokenCounts(prompt=30, image=16, response=8, critique=14)
_TOKENS = {
    "scenes": _GENERATED,
    "digits": _GENERATED,
    "text": TokenCounts(prompt=40, image=0, response=16, critique=14),
}
_REAL = TokenCounts(prompt=150, image=700, response=300, critique=120)
"""Instruction data with photographs, such as the paper's mixes."""


def mean_tokens(config: TrainerConfig, entry: BackboneEntry) -> TokenCounts:
    """Typical tokens of a pair, over the sources it is drawn from."""
    counts = [
        (weight, source_tokens(config, name, entry)) for name, weight in config.data.mix.items()
    ]
    total = sum(weight for weight, _ in counts)

    def mean(name: str) -> int:
        return round(sum(weight * float(getattr(count, name)) for weight, count in counts) / total)

    return TokenCounts(
        prompt=mean("prompt"),
        image=mean("image"),
        response=mean("response"),
        critique=mean("critique"),
    )


def source_tokens(config: TrainerConfig, source: str, entry: BackboneEntry) -> TokenCounts:
    """Typical tokens of a pair of one source; without images there are no image tokens.

    Raises:
        DataError: If an installed adapter cannot be loaded.
    """
    kind = config.data.source(source).kind
    if kind in _TOKENS:
        return _TOKENS[kind]
    adapter, usual = adapters().get(kind), _real_or_tiny(entry)
    return replace(usual, image=0) if adapter is not None and adapter.text_only else usual


def row_tokens(config: TrainerConfig, tokens: TokenCounts) -> int:
    """Tokens of one item: its prompt and image once, and all that hangs off them."""
    row = tokens.prompt + tokens.image + 2 * tokens.response
    if config.paradigm == "critic":
        row += 2 * tokens.critique
    if config.paradigm == "generative":
        row += 2 * tokens.response  # both orders
    return row


def _real_or_tiny(entry: BackboneEntry) -> TokenCounts:
    return _GENERATED if entry.hub_id is None else _REAL
