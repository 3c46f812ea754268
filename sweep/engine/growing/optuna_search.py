"""`OptunaSearch`: Optuna's samplers by ask and tell; the only module that knows Optuna.

A study lives in memory and is a function of the history of asks and tells: with the same seed and
history it proposes the same point, in whichever process. It is kept between asks only to be quick.
Stopped points are told as pruned, with what they had reached, and failures as failed, so that none
is left running for ever (as NaN leaves them in Ray's `OptunaSearch`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from infra.errors import InputError
from search_spaces.axes import Axis
from search_spaces.mixtures import Mixture
from search_spaces.ranges import Range
from sweep.engine.growing.growth import Asked, History, Told

Direction = Literal["maximize", "minimize"]


class OptunaSearch:
    """One sampler over the axes of a sweep."""

    def __init__(
        self,
        axes: Sequence[Axis],
        *,
        sampler: str,
        options: Mapping[str, Any],
        directions: Sequence[Direction],
        seed: int,
    ) -> None:
        self._axes = tuple(axes)
        self._sampler = sampler
        self._options = dict(options)
        self._directions = list(directions)
        self._seed = seed
        self._history: History = ()
        self._trials: list[Any] = []
        self._study: Any = None
        self._ahead: tuple[Any, dict[str, str]] | None = None

    def propose(self, history: History) -> dict[str, str]:
        """The next point after a history; asking twice gives the same point.

        Raises:
            InputError: If the sampler does not take its options, or a package it needs is missing.
        """
        self._catch_up(history)
        if self._ahead is None:
            self._ahead = self._ask()
        return dict(self._ahead[1])

    def _catch_up(self, history: History) -> None:
        known = len(self._history)
        begun_otherwise = history[:known] != self._history or self._study is None
        dangling = self._ahead is not None and not (
            len(history) == known or self._is_ahead(history[known])
        )
        if begun_otherwise or dangling:
            self._study, self._trials, self._ahead, known = self._new_study(), [], None, 0
        for entry in history[known:]:
            if isinstance(entry, Asked):
                self._take(entry)
            else:
                self._tell(entry)
        self._history = history

    def _is_ahead(self, entry: Asked | Told) -> bool:
        return (
            isinstance(entry, Asked)
            and self._ahead is not None
            and dict(entry.point) == self._ahead[1]
        )

    def _take(self, asked: Asked) -> None:
        """Go on to where this point was asked for."""
        trial, point = self._ahead or self._ask()
        self._ahead = None
        if point != dict(asked.point):
            # Another version of Optuna draws otherwise: what was trained is what counts.
            self._study.tell(trial, state=_state("failed"))
            self._study.enqueue_trial(self._parameters(asked.point))
            trial, _ = self._ask()
        self._trials.append(trial)

    def _ask(self) -> tuple[Any, dict[str, str]]:
        with warnings.catch_warnings():
            # Samplers warn of every parameter they leave to chance.
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            return trial, {axis.name: _suggest(trial, axis) for axis in self._axes}

    def _tell(self, told: Told) -> None:
        trial = self._trials[told.number]
        if len(self._directions) == 1:
            for step, value in told.intermediate:
                trial.report(value, step)
        values = list(told.values) if told.state == "complete" else None
        self._study.tell(trial, values=values, state=_state(told.state))

    def _parameters(self, point: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for axis in self._axes:
            level = point[axis.name]
            if isinstance(axis.domain, Range):
                found[axis.name] = int(float(level)) if axis.domain.whole else float(level)
            elif axis.domain is None:
                found[axis.name] = level
        return found

    def _new_study(self) -> Any:  # noqa: ANN401 -- Optuna is untyped here
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = make_sampler(self._sampler, {"seed": self._seed, **self._options})
        return optuna.create_study(sampler=sampler, directions=self._directions)


def make_sampler(name: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- likewise
    """Optuna's sampler of that name.

    Raises:
        InputError: If it does not take its options, or a package it needs is missing.
    """
    import optuna

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of samplers that are called experimental
            return getattr(optuna.samplers, name)(**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} does not take these options: {error}") from error
    except ImportError as error:
        raise InputError(f"{name} needs a package that is missing: {error}") from error


def _suggest(trial: Any, axis: Axis) -> str:  # noqa: ANN401 -- Optuna is untyped here
    """A level of an axis."""
    domain = axis.domain
    if isinstance(domain, Range):
        suggest = trial.suggest_int if domain.whole else trial.suggest_float
        value = suggest(axis.name, domain.low, domain.high, log=domain.log)
        rounded = value if domain.whole else float(f"{value:.4g}")
        return domain.at(min(max(rounded, domain.low), domain.high)).name
    if isinstance(domain, Mixture):
        unit = [
            trial.suggest_float(f"{axis.name}[{index}]", 0.0, 1.0)
            for index in range(domain.dimensions)
        ]
        return domain.drawn(unit).name
    return str(trial.suggest_categorical(axis.name, [level.name for level in axis.levels]))


def _state(state: str) -> Any:  # noqa: ANN401 -- Optuna is untyped here
    from optuna.trial import TrialState

    return {
        "complete": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }[state]
