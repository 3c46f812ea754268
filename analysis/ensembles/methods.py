"""Every ensemble method by name, simplest first, with the settings it chooses from.

A method is a function from a panel to `Fit`s; a fit is a pure function from a panel to a
`Combiner`. A new method is one function and one line in `METHODS`, and passes
`tests/analysis/ensembles/method_contract.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from analysis.ensembles.averages import (
    accuracy_weighted,
    average,
    majority,
    margin_weighted,
    probability_average,
    rank_average,
    single,
    uncertainty_weighted,
    worst_case,
    z_average,
)
from analysis.ensembles.greedy import greedy
from analysis.ensembles.panel import Panel
from analysis.ensembles.routing import FEWEST_GROUPS, kinds, routing
from analysis.ensembles.stacking import stacking
from infra.errors import InputError
from infra.findings import hint
from trainer.members.combining import Combiner
from trainer.members.member_scores import RouteBy

SIZES = (2, 3, 5, 8, 12, 20, 35, 60, 100)
"""Members of an average that are tried; all of them as well."""
PENALTIES = (0.1, 0.5, 1.0)
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
BAGS = 10

SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Fit:
    """One method with its settings."""

    setting: str
    """In words, for people."""
    function: Callable[[Panel], Combiner]

    def __call__(self, panel: Panel) -> Combiner:
        """How to combine, learnt from a panel."""
        return self.function(panel)


class Method(Protocol):
    """The settings one method offers for a panel of this shape; none when it does not apply."""

    def __call__(self, panel: Panel, /) -> Sequence[Fit]:
        """The fits to choose from."""
        ...


def _by_size(function: Callable[..., Combiner]) -> Method:
    def fits(panel: Panel) -> Sequence[Fit]:
        return [Fit(f"best {size}", partial(function, size=size)) for size in sizes(panel)]

    return fits


def sizes(panel: Panel) -> list[int]:
    """How many of the best members an average may take."""
    return sorted({size for size in SIZES if size < panel.size} | {max(panel.size, 1)})


def _single(panel: Panel) -> Sequence[Fit]:
    return [Fit("best", single)]


def _uncertainty(panel: Panel) -> Sequence[Fit]:
    return [
        Fit(f"best {size}, {c} x variance", partial(uncertainty_weighted, size=size, coefficient=c))
        for size in sizes(panel)
        for c in PENALTIES
    ]


def _greedy(panel: Panel) -> Sequence[Fit]:
    return [Fit(f"start {start}", partial(greedy, start=start, bags=BAGS)) for start in (1, 5)]


def _stacking(panel: Panel) -> Sequence[Fit]:
    return [
        Fit(f"C = {inverse:g}", partial(stacking, inverse_penalty=inverse))
        for inverse in INVERSE_PENALTIES
    ]


def _routing(panel: Panel) -> Sequence[Fit]:
    columns: tuple[RouteBy, ...] = ("modality", "category", "source")
    fits = []
    for by in columns:
        often = [
            mine
            for mine in kinds(panel, by).values()
            if len(set(panel.groups[mine].tolist())) >= FEWEST_GROUPS
        ]
        if len(often) > 1:
            fits += [
                Fit(f"by {by}, best {size}", partial(routing, by=by, size=size))
                for size in (1, *sizes(panel)[:3])
            ]
            fits.append(Fit(f"by {by}, greedy", partial(routing, by=by, size=0)))
    return fits


METHODS: Mapping[str, Method] = {
    SINGLE: _single,
    "average": _by_size(average),
    "z_average": _by_size(z_average),
    "rank_average": _by_size(rank_average),
    "accuracy_weighted": _by_size(accuracy_weighted),
    "margin_weighted": _by_size(margin_weighted),
    "probability": _by_size(probability_average),
    "majority": _by_size(majority),
    "worst_case": _by_size(worst_case),
    "uncertainty_weighted": _uncertainty,
    "greedy": _greedy,
    "stacking": _stacking,
    "routed": _routing,
}
"""Simplest first: of methods that do equally well the first is taken."""


def check_method(name: str, *, others: Sequence[str] = ()) -> str:
    """The name itself.

    Raises:
        InputError: If there is no such method, naming the nearest.
    """
    known = [*METHODS, *others]
    if name not in known:
        raise InputError(
            f"method must be one of {', '.join(known)}, got {name!r}{hint(name, known)}"
        )
    return name
