"""Which trials a sweep plans: one model per `kind` under `design` of a sweep file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from infra.frozen import Frozen


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


DesignSpec = Annotated[
    GridDesign
    | OneFactorDesign
    | LeaveOneOutDesign
    | AddOneInDesign
    | FractionalDesign
    | RandomDesign
    | LatinHypercubeDesign,
    Field(discriminator="kind"),
]
