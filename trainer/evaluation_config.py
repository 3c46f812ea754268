"""What a reward model is measured with: benchmarks, their text-only twins, and when.

Invariant: a twin is defined wherever its benchmark is, and says nothing of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from infra.frozen import Frozen

Split = Literal["train", "validation", "test"]
Fraction = Annotated[float, Field(ge=0, le=1)]
ItemCount = Annotated[int, Field(gt=0, le=10_000_000)] | Literal["all"]
_USUAL_ITEMS = 2000
_NO_FILE_NAME = frozenset("/\\") | frozenset(map(chr, range(32)))

TEXT_ONLY = "_text_only"
"""Ends the name of a benchmark's text-only twin."""


class BenchmarkConfig(Frozen):
    """A named set of held-out items."""

    split: Split = "validation"
    """Selection uses validation items, reports use test items; never both."""
    parts: dict[str, ItemCount] = Field(default_factory=lambda: dict[str, ItemCount](scenes=200))
    """Items by source name; `all` takes every item of the split, as a published benchmark wants."""
    shuffle_images: bool = False
    """Only the items with images, each with another item's: what is left is what the text alone
    tells."""
    text_twin: bool | None = None
    """Whether a text-only twin `<name>_text_only`, the same with `shuffle_images`, is scored too
    and told beside the result as `baseline_text_only`. Where the split is test when absent."""

    @property
    def has_text_twin(self) -> bool:
        """Whether its twin is scored; a benchmark with shuffled images is one itself."""
        wanted = self.split == "test" if self.text_twin is None else self.text_twin
        return wanted and not self.shuffle_images

    @property
    def expected_items(self) -> int:
        """Items to be scored, for estimates; where all are wanted, as many as benchmarks have."""
        return sum(self.expected_parts.values())

    @property
    def expected_parts(self) -> dict[str, int]:
        """The same by source name."""
        return {
            name: _USUAL_ITEMS if count == "all" else count for name, count in self.parts.items()
        }

    @model_validator(mode="after")
    def _is_held_out(self) -> BenchmarkConfig:
        if self.split == "train":
            raise ValueError("a benchmark's split must be validation or test, got 'train'")
        return self


class EvaluationConfig(Frozen):
    """What is measured, and when; never changes the trained weights."""

    benchmarks: dict[str, BenchmarkConfig] = Field(
        default_factory=lambda: {
            "validation": BenchmarkConfig(split="validation"),
            "test": BenchmarkConfig(split="test"),
        },
        validate_default=True,
    )
    """By name, text-only twins among them; all are scored at the end."""
    during: tuple[Fraction, ...] = ()
    """Fractions of the training at which `monitor` is evaluated and a checkpoint is kept."""
    monitor: str = "validation"
    """The benchmark evaluated during training; must be a validation one."""

    @field_validator("benchmarks")
    @classmethod
    def _with_twins(cls, named: dict[str, BenchmarkConfig]) -> dict[str, BenchmarkConfig]:
        for name in named:
            short = 0 < len(name.removesuffix(TEXT_ONLY)) <= 100
            if not short or name[0] == "." or not _NO_FILE_NAME.isdisjoint(name):
                raise ValueError(
                    "scores lie in files named like their benchmark: expected 1 to 100 characters "
                    f"without slashes and line breaks that begin with no dot, got {name!r}"
                )
        twin = {"shuffle_images": True, "text_twin": False}
        twins = {
            f"{name}{TEXT_ONLY}": benchmark.model_copy(update=twin)
            for name, benchmark in named.items()
            if benchmark.has_text_twin
        }
        return {**twins, **named}

    def is_twin(self, name: str) -> bool:
        """Whether a benchmark is another one's text-only twin."""
        twinned = self.benchmarks.get(name.removesuffix(TEXT_ONLY))
        return name.endswith(TEXT_ONLY) and twinned is not None and twinned.has_text_twin

    @model_validator(mode="after")
    def _monitor_is_a_validation_benchmark(self) -> EvaluationConfig:
        monitored = self.benchmarks.get(self.monitor)
        if self.during and (monitored is None or monitored.split != "validation"):
            raise ValueError(
                f"monitor must name a benchmark with split validation, got {self.monitor!r}; "
                f"defined: {', '.join(sorted(self.benchmarks)) or 'none'}"
            )
        return self
