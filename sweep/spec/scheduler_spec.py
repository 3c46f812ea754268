"""Which arms are trained to their end: one model per `kind` under `scheduler` of a sweep file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from infra.frozen import Frozen

_SAME = 1e-9
"""Fractions closer than this are one: 1/9 x 9 is not exactly 1 in binary."""


def _fraction(value: object) -> object:
    """`1/9`, as people write it in YAML, as a number."""
    if isinstance(value, str) and value.count("/") == 1:
        above, below = value.split("/")
        try:
            return float(above) / float(below)
        except (ValueError, ZeroDivisionError):
            return value
    return value


RungFraction = Annotated[float, Field(gt=0, lt=1), BeforeValidator(_fraction)]


class NoScheduler(Frozen):
    """Every arm is trained to its end."""

    kind: Literal["none"] = "none"

    @property
    def rungs(self) -> tuple[float, ...]:
        """None: nothing is compared before its end."""
        return ()


class AshaScheduler(Frozen):
    """Asynchronous successive halving with promotion (Li et al., 2020, arXiv:1810.05934).

    Arms pause at each rung; the best `1/reduction` of those that reached it go on.
    """

    kind: Literal["asha"] = "asha"
    reduction: Annotated[int, Field(ge=2, le=100)] = 3
    """One arm in so many goes on from a rung; each rung is so many times the one before."""
    first: RungFraction = 1 / 9
    """First rung, as a fraction of an arm's own training, such as `1/9`."""

    @property
    def rungs(self) -> tuple[float, ...]:
        """Fractions of an arm's training at which it is compared, rising; its end is none."""
        found = []
        rung = self.first
        while rung < 1 - _SAME:
            found.append(rung)
            rung *= self.reduction
        return tuple(found)


SchedulerSpec = Annotated[NoScheduler | AshaScheduler, Field(discriminator="kind")]
