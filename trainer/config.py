"""`TrainerConfig`: everything that defines one trained reward model; imports no torch.

Six sections mirror what a sweep varies (paradigm, head, strategy, data, backbone and its scale);
`evaluation` and `machine` say what is measured and on what, and never change the trained weights.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from infra.frozen import Frozen
from trainer.evaluation_config import EvaluationConfig
from trainer.head_config import CriticConfig, HeadConfig, JudgeConfig
from trainer.strategy_config import StrategyConfig

Paradigm = Literal["scalar", "critic", "generative"]
SharePrompts = Literal["auto", "always", "never"]
NonNegative = Annotated[float, Field(ge=0)]


class SourceConfig(Frozen):
    """One data source: a kind by name and the settings it takes."""

    kind: str
    """`scenes`, `digits`, `text`, `file`, an adapter such as `rlaif-v`, or one that an installed
    package registers."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Checked by the source itself."""


class DecontaminationConfig(Frozen):
    """Which training items are left out because a benchmark holds them, or nearly."""

    against: tuple[str, ...] = ()
    """Names of sources whose held-out items must not be trained on."""
    near: bool = True
    """Whether near-duplicates go too: images that look alike, prompts that share most words."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of a benchmark prompt's word sequences that makes another a near-duplicate."""


class DataConfig(Frozen):
    """What the model is trained on."""

    weights: dict[str, NonNegative] = Field(default_factory=lambda: {"scenes": 1.0})
    """Share of the training pairs by source name; they need not sum to one."""
    leave_out: tuple[str, ...] = ()
    """Sources that are not drawn from; the others keep their proportions."""
    add_in: tuple[str, ...] = ()
    """Sources drawn from as well: by their weight where `weights` gives one, else by the mean."""
    temperature: Annotated[float, Field(ge=1)] | None = None
    """Shares follow weight x size^(1/temperature): 1 takes sources by size, a large one by weight
    alone, as does none. Only for sources that have a size."""
    caps: dict[str, PositiveInt] = Field(default_factory=dict)
    """Most different items of a source; its share is filled by repeating them."""
    duplicates: Literal["keep", "drop", "drop_near"] = "keep"
    """What becomes of items that came before, in this source or one with a smaller name: with the
    same images, prompt and responses, or also with nearly the same words."""
    decontaminate: DecontaminationConfig = DecontaminationConfig()
    max_prompt_tokens: PositiveInt | None = None
    """Longer prompts keep their end; images are never cut. Absent: one that the backbone cannot
    read ends the training."""
    max_response_tokens: PositiveInt | None = None
    """Longer responses keep their beginning, or the stretch where they differ."""
    sources: dict[str, SourceConfig] = Field(default_factory=dict)
    """Definition of named sources; a name without one is the built-in kind of that name."""
    pairs: Annotated[int, Field(gt=0, le=1_000_000_000)] = 4096
    """Training pairs in one epoch, over all sources."""
    seed: int = 0
    """Which items are drawn; the order they come in follows the trial's own seed."""

    def source(self, name: str) -> SourceConfig:
        """The definition of a named source."""
        return self.sources.get(name) or SourceConfig(kind=name)

    @property
    def mix(self) -> dict[str, float]:
        """Positive weights of the sources that are drawn from, lists applied."""
        weights = {name: weight for name, weight in self.weights.items() if weight > 0}
        mean = sum(weights.values()) / len(weights) if weights else 1.0
        weights |= {name: mean for name in self.add_in if name not in weights}
        return {name: weight for name, weight in weights.items() if name not in self.leave_out}

    @property
    def filtered(self) -> bool:
        """Whether items are left out for what other sources hold."""
        return self.duplicates != "keep" or bool(self.decontaminate.against)

    @model_validator(mode="after")
    def _has_a_source(self) -> DataConfig:
        both = sorted(set(self.leave_out) & set(self.add_in))
        if both:
            raise ValueError(f"{both} cannot be both left out and added in")
        if not self.mix:
            raise ValueError(f"weights needs a source with a positive weight, got {self.weights}")
        return self


class BackboneConfig(Frozen):
    """The pretrained model the reward model is built on."""

    family: str = "tiny-qwen2.5-vl"
    """A family of `trainer.catalog`."""
    scale: str = "s"
    """A scale of that family."""
    path: str | None = None
    """A local folder or hub id to use instead of the catalog's."""


class MachineConfig(Frozen):
    """How the training is laid out; never changes what is trained, only where and how fast."""

    workers: PositiveInt = 1
    """Ranks of the gang."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 0
    """DeepSpeed ZeRO stage."""
    micro_batch_pairs: PositiveInt | None = None
    """Pairs a rank handles at once; the whole share of the batch when absent."""
    micro_batch_tokens: PositiveInt | None = None
    """Tokens a rank handles at once, instead of a number of pairs: as many pairs as they hold, at
    least one. Where lengths differ widely, memory then follows from this alone."""
    threads: PositiveInt = 1
    """CPU threads of a rank."""
    needs_gpu: bool = False
    """Refuse a cluster without GPUs, where it would be trained on CPUs."""
    trials_per_gpu: Annotated[int, Field(ge=1, le=16)] = 1
    """Small trainings of one worker that share a GPU; each must fit its part of the memory, which
    nothing fences. Needs `needs_gpu`."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    share_prompts: SharePrompts = "auto"
    """Whether responses hang off one prompt that is read once: wherever the backbone's layers
    allow it, never, or always - which refuses backbones that do not."""
    reuse_states: bool = True
    """Compute what never moves once and share it between trials: pooled states where only the head
    trains, image features where the vision tower is frozen."""

    @property
    def devices(self) -> float:
        """Devices the gang takes: one a worker, or a part of one where a GPU is shared."""
        return self.workers if self.trials_per_gpu == 1 else 1 / self.trials_per_gpu

    @model_validator(mode="after")
    def _shares_one_gpu(self) -> MachineConfig:
        if self.trials_per_gpu > 1 and (self.workers > 1 or not self.needs_gpu):
            raise ValueError(
                f"{self.trials_per_gpu} trials share a GPU (trials_per_gpu): that takes workers 1 "
                f"and needs_gpu true, got {self.workers} and {str(self.needs_gpu).lower()}"
            )
        return self

    @model_validator(mode="after")
    def _one_micro_batch(self) -> MachineConfig:
        if self.micro_batch_pairs is not None and self.micro_batch_tokens is not None:
            raise ValueError(
                f"micro batches are formed by pairs or by tokens, got micro_batch_pairs "
                f"{self.micro_batch_pairs} and micro_batch_tokens {self.micro_batch_tokens}; "
                "leave one of them out"
            )
        return self


class TrainerConfig(Frozen):
    """One reward model to train."""

    paradigm: Paradigm = "scalar"
    """How a model turns into a reward: a score, a critique and a score, or a verdict."""
    head: HeadConfig = HeadConfig()
    critic: CriticConfig = CriticConfig()
    judge: JudgeConfig = JudgeConfig()
    strategy: StrategyConfig = StrategyConfig()
    data: DataConfig = DataConfig()
    backbone: BackboneConfig = BackboneConfig()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Head initialisation, data order and dropout."""
    evaluation: EvaluationConfig = EvaluationConfig()
    machine: MachineConfig = MachineConfig()

    @property
    def writes(self) -> bool:
        """Whether the model writes before it scores, at evaluation."""
        judges = self.paradigm == "generative" and self.judge.writes
        return judges or self.paradigm == "critic"

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training."""
        if self.strategy.steps is not None:
            return self.strategy.steps
        # By the number as it is written: floats make 7,040.000000000001 of 1.1 x 6,400.
        pairs = Decimal(str(self.strategy.epochs)) * self.data.pairs
        return max(1, math.ceil(pairs / self.strategy.batch_pairs))

    @model_validator(mode="after")
    def _batch_divides(self) -> TrainerConfig:
        share, rest = divmod(self.strategy.batch_pairs, self.machine.workers)
        if rest:
            raise ValueError(
                f"strategy.batch_pairs ({self.strategy.batch_pairs}) must be a multiple of "
                f"machine.workers ({self.machine.workers})"
            )
        micro = self.machine.micro_batch_pairs
        if micro is not None and share % micro:
            raise ValueError(
                f"machine.micro_batch_pairs ({micro}) must divide a rank's share of the batch "
                f"({share} pairs)"
            )
        return self

    @model_validator(mode="after")
    def _phases_fit(self) -> TrainerConfig:
        known = list(self.data.mix)
        ends = [0.0]
        for number, phase in enumerate(self.strategy.phases, start=1):
            unknown = [name for name in phase.sources or () if name not in known]
            if unknown or phase.sources == ():
                raise ValueError(
                    f"strategy.phases: phase {number} uses {', '.join(unknown) or 'no source'}, "
                    f"but the data mix has {', '.join(known)}"
                )
            ends.append(ends[-1] + phase.share)
            if round(ends[-1] * self.total_steps) == round(ends[-2] * self.total_steps):
                raise ValueError(
                    f"strategy.phases: phase {number} gets none of the {self.total_steps} steps; "
                    "train longer or give it a larger share"
                )
        return self

    @model_validator(mode="after")
    def _muon_sees_whole_matrices(self) -> TrainerConfig:
        if self.strategy.optimizer == "muon" and self.machine.zero_stage:
            raise ValueError(
                f"strategy.optimizer 'muon' needs machine.zero_stage 0, got "
                f"{self.machine.zero_stage}: it orthogonalises whole matrices, of which a rank "
                "then has a slice, and DeepSpeed's own Muon clips after that, so that the stage "
                "would change what is trained; use stage 0 or adamw"
            )
        return self
