"""How a sweep grows while it runs: what is added, on what grounds, and by whom.

Growing is deciding: what is added follows from the view alone, is logged before it is done, and
would be added again by anybody who reads the log up to there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from search_spaces.axes import Axis

if TYPE_CHECKING:
    from sweep.engine.view import SweepView


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrial:
    """A trial that joins a running sweep; the fields are those of `books.ExpectedTrial`.

    What it is expected to take is said with the decision and is no part of it: who decides again
    may have measured more since, and goes by what the log says.
    """

    identity: str
    arm: str
    seed: int
    workers: float = field(compare=False)
    seconds_estimate: float = field(compare=False)
    total_steps: int
    point: Mapping[str, str]
    """What was asked for: level by axis, those at the baseline left out."""
    stage: int = 0
    """Number of the stage."""
    shrinks: int = field(default=0, compare=False)
    """How often its micro batch can be made smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A sampler was asked for a point."""

    number: int
    """From 0."""
    point: Mapping[str, str]
    arm: str | None
    """The arm it makes; None when it makes none, as where it breaks a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a point."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    values: tuple[float, ...] = ()
    """Mean of each objective over the seeds, when complete."""
    intermediate: tuple[tuple[int, float], ...] = ()
    """Mean objective at the rungs it reached."""


History = tuple[Asked | Told, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What a sweep is to get."""

    trials: tuple[NewTrial, ...]
    reason: str
    asked: Asked | None = None


class Space(Protocol):
    """What points train: a trainer's settings, or a table's configurations."""

    @property
    def axes(self) -> Sequence[Axis]:
        """All axes of the sweep."""
        ...

    @property
    def least_difference(self) -> float:
        """By how much one item moves the objective; 0 where it is not counted in items."""
        ...

    def trial(self, point: Mapping[str, str], *, seed: int, stage: int = 0) -> NewTrial | None:
        """The trial of a point; None when the point is no valid arm or breaks a rule."""
        ...

    def replicate(self, arm: str, *, seed: int) -> NewTrial | None:
        """A further trial of an arm it has made; None when there can be none."""
        ...


class Growth(Protocol):
    """A rule by which a sweep grows."""

    @property
    def arms_asked(self) -> int:
        """Arms it will add in all, as far as that is known; rungs wait for no others."""
        ...

    def addition(self, view: SweepView) -> Addition | None:
        """What is to be added now; None when nothing is."""
        ...

    def finished(self, view: SweepView) -> bool:
        """Whether nothing will be added any more once what is open is settled."""
        ...


@dataclass(frozen=True, slots=True)
class NoGrowth:
    """All trials were planned."""

    arms_asked: int = field(default=0, init=False)

    def addition(self, view: SweepView) -> Addition | None:
        """Nothing."""
        del view
        return None

    def finished(self, view: SweepView) -> bool:
        """From the start."""
        del view
        return True
