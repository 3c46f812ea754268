"""How the weights are trained: the `strategy` section of a trainer config; imports no torch.

What is trained (freezing, adapters, rates by part), towards what (losses, noise, ties), how fast
(optimizer, schedule), and in how many phases.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from infra.frozen import Frozen

Schedule = Literal["constant", "linear", "cosine"]
Optimizer = Literal["adamw", "muon"]
RankingLoss = Literal["bradley_terry", "plackett_luce", "cross_entropy"]
NoiseCorrection = Literal["conservative", "unbiased", "forward"]
Ties = Literal["drop", "square", "rao_kupper"]
Precision = Literal["fp32", "bf16"]
BUILT_IN_PAIR_LOSS = "bradley_terry"
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


class FreezeConfig(Frozen):
    """Which parts of the backbone keep their pretrained weights."""

    vision: bool = True
    """The vision tower."""
    projector: bool = True
    """What maps vision features into the language model."""
    language_model: bool = False
    """The language model, embeddings included."""


class RateFactors(Frozen):
    """The learning rate of each part, as a multiple of the whole; frozen parts have none."""

    vision: PositiveFloat = 1.0
    """The vision tower."""
    projector: PositiveFloat = 1.0
    """What maps vision features into the language model."""
    language_model: PositiveFloat = 1.0
    """The language model, embeddings included."""
    head: PositiveFloat = 1.0
    """The reward head."""


class LoraConfig(Frozen):
    """Low-rank adapters instead of the weights of the vision tower and the language model.

    A part that is frozen has none, and the projector, when it is not, is trained whole. The saved
    model has them merged in.
    """

    rank: Annotated[int, Field(ge=0)] = 0
    """Of every adapter; 0 trains the weights themselves."""
    alpha: PositiveInt = 16
    """Adapters are multiplied by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before every adapter."""
    targets: tuple[str, ...] = ()
    """Last names of the linear layers that get one, such as `q_proj`; all of them when empty."""


class PhaseConfig(Frozen):
    """One part of a training in phases, each with an optimizer and a schedule of its own."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Of the steps; the shares of all phases sum to 1."""
    learning_rate: PositiveFloat | None = None
    """Peak learning rate; the strategy's when absent."""
    freeze: FreezeConfig | None = None
    """Which parts rest in this phase; the strategy's when absent."""
    sources: tuple[str, ...] | None = None
    """Data sources whose items are used; all when absent."""


class StrategyConfig(Frozen):
    """How the weights are trained."""

    optimizer: Optimizer = "adamw"
    """Muon takes the matrices inside the backbone and leaves the rest to AdamW."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Muon's; AdamW has its usual betas."""
    learning_rate: PositiveFloat = 1e-3
    """Peak learning rate."""
    rate_factors: RateFactors = RateFactors()
    schedule: Schedule = "cosine"
    """After warm-up."""
    warmup: Fraction = 0.1
    """Fraction of the steps spent warming up."""
    batch_pairs: PositiveInt = 64
    """Pairs in one optimizer step, over all ranks."""
    epochs: PositiveFloat = 1.0
    """Passes over the training pairs."""
    steps: PositiveInt | None = None
    """Optimizer steps, instead of epochs."""
    weight_decay: NonNegative = 0.0
    """Of weights, not of biases and norms."""
    gradient_clipping: PositiveFloat = 1.0
    """Largest gradient norm."""
    loss: RankingLoss = "bradley_terry"
    """What a ranking of several responses says: every pair on its own, the whole order (each
    response against those below it), or only which one is best. With two they are the same."""
    pair_loss: str = BUILT_IN_PAIR_LOSS
    """What a ranked pair costs: `bradley_terry`, or a loss that an installed package registers as
    an entry point of `rmsweep.losses`. Judges have no scores and do not use it."""
    pair_loss_settings: dict[str, Any] = Field(default_factory=dict)
    """Of a loss of your own; it may read all other settings here as well."""
    zero_coefficient: NonNegative = 0.0
    """Weight of mean((r_chosen + r_rejected)^2) (paper, Algorithm 1)."""
    length_normalization: bool = False
    """Divide scores by log(tokens + 1) (paper, Algorithm 1)."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Probability that a label is wrong, as the loss assumes; a half would teach nothing."""
    noise_correction: NoiseCorrection = "conservative"
    """What the loss makes of that probability: hedge its labels, undo the noise on average, or
    give the likelihood of the noisy label. Only matters with `label_smoothing`."""
    use_margin: bool = False
    """Ask for the item's margin between the scores."""
    use_soft_labels: bool = False
    """Take an item's soft label for the probability that its ranking is right."""
    ties: Ties = "drop"
    """What tied responses teach: nothing, a small squared difference of scores, or the likelihood
    of a tie in the model of Rao and Kupper. A judge learns an even verdict from either."""
    tie_weight: PositiveFloat = 1.0
    """Weight of a tied pair beside a ranked one; only matters unless ties are dropped."""
    tie_threshold: PositiveFloat = 0.7
    """Rao and Kupper's: equal scores tie with probability tanh(threshold / 2), here a third."""
    precision: Precision = "fp32"
    """Of the backbone; the head is always fp32."""
    freeze: FreezeConfig = FreezeConfig()
    lora: LoraConfig = LoraConfig()
    phases: tuple[PhaseConfig, ...] = ()
    """Parts of the training one after the other, such as the head first; one when empty."""

    @model_validator(mode="after")
    def _phases_make_a_whole(self) -> StrategyConfig:
        total = sum(phase.share for phase in self.phases)
        if self.phases and abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of phases must sum to 1, got {total:g}")
        return self

    @model_validator(mode="after")
    def _pair_loss_fits(self) -> StrategyConfig:
        own = self.pair_loss != BUILT_IN_PAIR_LOSS
        if self.pair_loss_settings and not own:
            raise ValueError(
                "pair_loss_settings are those of a loss of your own, but pair_loss is "
                f"{self.pair_loss!r}, which reads none"
            )
        if own and (self.loss != "bradley_terry" or self.ties == "rao_kupper"):
            raise ValueError(
                f"pair_loss {self.pair_loss!r} is a loss of pairs and needs loss 'bradley_terry' "
                f"and ties 'drop' or 'square', got {self.loss!r} and {self.ties!r}"
            )
        return self

    @model_validator(mode="after")
    def _ties_fit_the_loss(self) -> StrategyConfig:
        if self.ties == "rao_kupper" and self.loss != "bradley_terry":
            raise ValueError(
                f"ties 'rao_kupper' is a model of pairs and needs loss 'bradley_terry', got "
                f"{self.loss!r}; use ties 'square' or 'drop'"
            )
        return self
