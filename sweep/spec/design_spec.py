"""Which trials a sweep plans: one model per `kind` under `design` of a sweep file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infra.frozen import Frozen


class GridDesign(Frozen):
    """Every combination of levels."""

    kind: Literal["grid"] = "grid"


class OneFactorDesign(Frozen):
    """The baseline, and every other level of each axis alone."""

    kind: Literal["one_factor"] = "one_factor"


DesignSpec = Annotated[GridDesign | OneFactorDesign, Field(discriminator="kind")]
