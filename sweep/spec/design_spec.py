"""Which trials a sweep plans: one model per `kind` under `design` of a sweep file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from infra.frozen import Frozen
from sweep.spec.objective_spec import ObjectiveSpec

SamplerName = Literal[
    "TPESampler",
    "GPSampler",
    "CmaEsSampler",
    "NSGAIISampler",
    "NSGAIIISampler",
    "QMCSampler",
    "RandomSampler",
]
"""Optuna's samplers but those that list a grid, which `design: grid` does better."""


_OTHER_WAYS = {
    "GridSampler": "it lists a grid: write design: {kind: grid}",
    "BruteForceSampler": "it tries every combination: write design: {kind: grid}",
    "PartialFixedSampler": (
        "it holds some axes at one value: put them into `set` and leave them out of `axes`"
    ),
}
"""Samplers that a sweep file does without, and what to write instead."""


def _explained(name: object) -> object:
    if isinstance(name, str) and name in _OTHER_WAYS:
        raise ValueError(f"{name} is no sampler here: {_OTHER_WAYS[name]}")
    return name


class GridDesign(Frozen):
    """Every combination of levels."""

    kind: Literal["grid"] = "grid"


class OneFactorDesign(Frozen):
    """The baseline, and every other level of each axis alone."""

    kind: Literal["one_factor"] = "one_factor"


class LeaveOneOutDesign(Frozen):
    """All members of every set as the baseline, and each member left out alone."""

    kind: Literal["leave_one_out"] = "leave_one_out"


class AddOneInDesign(Frozen):
    """No member (but those that are always in) as the baseline, and each member added alone."""

    kind: Literal["add_one_in"] = "add_one_in"


class FractionalDesign(Frozen):
    """The smallest balanced part of the grid that keeps effects of a stated order apart."""

    kind: Literal["fractional"] = "fractional"
    resolution: Annotated[int, Field(ge=3, le=6)] = 4
    """3: single axes are told apart from one another; 4: also from pairs; 5: pairs from pairs."""


class RandomDesign(Frozen):
    """Points drawn at random, none twice."""

    kind: Literal["random"] = "random"
    points: PositiveInt = 20
    """Distinct trainings to draw, the baseline not counted."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the draw; trials have seeds of their own."""
    with_baseline: bool = True
    """Train the baseline too, as what the others are compared with."""


class LatinHypercubeDesign(Frozen):
    """Points that cover every range evenly, each in as many strips as there are points."""

    kind: Literal["latin_hypercube"] = "latin_hypercube"
    points: Annotated[int, Field(ge=2)] = 16
    """Points to place, the baseline not counted; those that break a rule are left out."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the placement."""
    with_baseline: bool = True
    """Train the baseline too, as what the others are compared with."""


FixedDesign = Annotated[
    GridDesign
    | OneFactorDesign
    | LeaveOneOutDesign
    | AddOneInDesign
    | FractionalDesign
    | RandomDesign
    | LatinHypercubeDesign,
    Field(discriminator="kind"),
]
"""Designs all of whose trials are known beforehand."""


class SearchDesign(Frozen):
    """Points asked from a sampler of Optuna one after the other, each knowing how the others did.

    The baseline is trained first, as what the others are compared with.
    """

    kind: Literal["tpe", "optuna"]
    """`tpe`, or `optuna` with the name of any of its samplers."""
    sampler: Annotated[SamplerName, BeforeValidator(_explained)] = "TPESampler"
    """Class name of the sampler."""
    trials: PositiveInt = 40
    """Points to ask for, the baseline not counted; each is trained with every seed."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the sampler."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further settings of the sampler, such as `n_startup_trials`."""
    also: list[ObjectiveSpec] = Field(default_factory=list)
    """Further objectives beside the sweep's own, for samplers that take several."""

    @model_validator(mode="after")
    def _takes_as_many_objectives(self) -> SearchDesign:
        if self.kind == "tpe" and self.sampler != "TPESampler":
            raise ValueError(f"kind tpe is TPESampler; write kind: optuna for {self.sampler}")
        if self.also and self.sampler == "CmaEsSampler":
            raise ValueError("CmaEsSampler takes one objective; use TPESampler or NSGAIISampler")
        return self


class StageSpec(Frozen):
    """One design of a staged sweep."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    axes: Annotated[list[str], Field(min_length=1)]
    """Which of the sweep's axes vary; each varies in one stage only."""
    design: FixedDesign = OneFactorDesign()


class StagedDesign(Frozen):
    """Stage after stage, each a design of its own, from what the stages before it found."""

    kind: Literal["staged"] = "staged"
    stages: Annotated[list[StageSpec], Field(min_length=1)]
    adopt: Literal["supported", "best"] = "supported"
    """`supported`: an arm replaces the baseline only where its seeds show that it is better,
    corrected for the number of arms; `best`: whichever has the best mean does."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Of the test behind `supported`."""

    @model_validator(mode="after")
    def _every_axis_and_name_stands_once(self) -> StagedDesign:
        for what, given in (
            ("axis", [axis for stage in self.stages for axis in stage.axes]),
            ("stage", [stage.name for stage in self.stages]),
        ):
            twice = sorted({name for name in given if given.count(name) > 1})
            if twice:
                raise ValueError(f"the {what} {', '.join(twice)} stands in the stages twice")
        return self


DesignSpec = Annotated[
    GridDesign
    | OneFactorDesign
    | LeaveOneOutDesign
    | AddOneInDesign
    | FractionalDesign
    | RandomDesign
    | LatinHypercubeDesign
    | SearchDesign
    | StagedDesign,
    Field(discriminator="kind"),
]


def kind_for(design: DesignSpec, axis: str) -> str:
    """The kind of design that varies an axis: of a staged one, its stage's."""
    if isinstance(design, StagedDesign):
        return next((s.design.kind for s in design.stages if axis in s.axes), design.kind)
    return design.kind
