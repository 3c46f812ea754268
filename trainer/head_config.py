"""How scores come out of hidden states: settings of the head, and of critiques before it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from infra.frozen import Frozen

Activation = Literal["none", "tanh", "silu", "gelu", "relu"]
BUILT_IN_HEAD = "layers"
Pooling = Literal["last", "mean", "attention"]
NonNegative = Annotated[float, Field(ge=0)]


class HeadConfig(Frozen):
    """From the pooled hidden state to one score; unused by the generative paradigm."""

    kind: str = BUILT_IN_HEAD
    """`layers`, described here, or a head that an installed package registers as an entry point of
    `rmsweep.heads`."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of a head of your own; it may read all other settings here as well."""
    layers: Annotated[int, Field(ge=1, le=5)] = 2
    """Linear layers; 1 is a plain projection (paper, Table 2)."""
    activation: Activation = "silu"
    """Between layers; only matters from two layers up."""
    hidden_size: PositiveInt | None = None
    """Width of inner layers; the backbone's own width when absent. Matters from two layers up."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before every layer."""
    initial_scale: PositiveFloat = 1.0
    """Multiplies the usual 1/sqrt(fan_in) standard deviation of the last layer."""
    learn_scale: bool = False
    """Multiply scores by a learned factor, 1 at the start, in training and scoring alike."""
    pooling: Pooling = "last"
    """Which of a response's hidden states the score is read from: the last token, their mean, or
    their mean weighed by a learned query. Taken from the mask, never from padding."""
    hidden_layer: PositiveInt | None = None
    """Decoder layer the score is read from, counted from 1 and normalised as the last one is; the
    last one when absent. A scalar model is cut off above it."""

    @model_validator(mode="after")
    def _settings_have_a_reader(self) -> HeadConfig:
        if self.settings and self.kind == BUILT_IN_HEAD:
            raise ValueError(
                f"settings are those of a head of your own, but kind is {self.kind!r}, which reads "
                f"none; got {sorted(self.settings)}"
            )
        return self


class JudgeConfig(Frozen):
    """The generative paradigm: see two responses, maybe reason, and name the better one."""

    reasoning: bool = False
    """Write reasons before the verdict: trained on the critiques of both responses, at evaluation
    the model's own."""
    reasoning_weight: NonNegative = 1.0
    """Weight of the language-model loss on reasons; only matters with `reasoning`."""
    max_written_tokens: PositiveInt = 48
    """Longest text the model writes when it is evaluated."""
    verdict: Literal["likelihood", "text"] = "likelihood"
    """At evaluation: score by the probability of each verdict, or read the verdict in what the
    model writes, as for a judge behind an interface; then unreadable ones are counted."""

    @property
    def writes(self) -> bool:
        """Whether the model writes anything at evaluation."""
        return self.reasoning or self.verdict == "text"


class CriticConfig(Frozen):
    """The critic paradigm: write a critique, then score prompt + response + critique."""

    critique_weight: NonNegative = 1.0
    """Weight of the language-model loss on critiques."""
    score_weight: PositiveFloat = 1.0
    """Weight of the Bradley-Terry loss on scores."""
    max_critique_tokens: PositiveInt = 24
    """Longest critique the model writes for itself when it is evaluated."""
