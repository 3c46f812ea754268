"""Others' schedulers and searchers under our clock: their own classes, our curves, equal spend.

A trial trains until its scheduler stops it; nobody pauses. What a scheduler sees of time is the
fraction of a training, in 81 parts, so that its rungs are those of `first: 1/9, reduction: 3`.
"""

from __future__ import annotations

import heapq
import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from search_spaces.ranges import Range
from sweep.replay.curves import Curve
from sweep.replay.outcome import Incumbent
from sweep.replay.space import TableSpace

WHOLE = 81
"""A training in the schedulers' unit of time."""
REDUCTION = 3
FIRST = 9
MOST_KNOWN = 200
"""Suggestions in a row that are told what is known of them, as in our own searches, at no cost."""


class Rival(Protocol):
    """Proposes configurations and hears how they do."""

    def propose(self, number: int, taken: set[str]) -> str | None:
        """The next configuration to train; None when there is none."""
        ...

    def goes_on(self, number: int, part: int, value: float) -> bool:
        """Whether a training goes on after this report."""
        ...

    def ended(self, number: int, value: float, *, finished: bool) -> None:
        """How a training ended."""
        ...


@dataclass(slots=True)
class _Running:
    number: int
    configuration: str
    curve: Curve
    began: float
    reports: Iterator[int]
    part: int = -1
    """Of the training done when its scheduler was last asked."""


def simulate(  # noqa: PLR0915 -- one loop over one heap
    rival: Rival, space: TableSpace, *, workers: int, most_seconds: float
) -> list[Incumbent]:
    """Every incumbent of a rival, in the order they came, until so much was spent."""
    table = space.table
    _, best = table.best
    agenda: list[tuple[float, int, _Running, int]] = []
    ties = itertools.count()
    taken: set[str] = set()
    spent_before, running = 0.0, {}
    found: list[Incumbent] = []
    now = 0.0

    def start() -> None:
        number = len(taken)
        configuration = rival.propose(number, taken)
        if configuration is None:
            return
        taken.add(configuration)
        curve = table.curves[configuration][0]
        work = _Running(number, configuration, curve, now, iter(range(len(curve.steps))))
        running[number] = work
        await_next(work)

    def await_next(work: _Running) -> None:
        index = next(work.reports)
        moment = work.began + float(work.curve.seconds[index])
        heapq.heappush(agenda, (moment, next(ties), work, index))

    for _ in range(workers):
        start()
    while agenda:
        now, _, work, index = heapq.heappop(agenda)
        spent = spent_before + sum(now - each.began for each in running.values())
        if spent > most_seconds:
            return found
        value = float(work.curve.values[index])
        finished = index == len(work.curve.steps) - 1
        part = min(WHOLE, math.floor(WHOLE * work.curve.steps[index] / work.curve.steps[-1] + 1e-9))
        lost = not math.isfinite(value)
        # Curves with more reports than parts: who decides is asked once a part.
        told = part == work.part
        if not (finished or lost) and (told or rival.goes_on(work.number, part, value)):
            work.part = part
            await_next(work)
            continue
        rival.ended(work.number, value, finished=finished)
        spent_before += now - running.pop(work.number).began
        end = table.final_means[work.configuration]
        better = not found or table.sign * end > table.sign * found[-1].value
        if finished and math.isfinite(end) and better:
            found.append(
                Incumbent(
                    spent_seconds=spent,
                    configuration=work.configuration,
                    value=end,
                    regret=max(0.0, table.sign * (best - end)),
                )
            )
        start()
    return found


class RayAsha:
    """Ray Tune's `AsyncHyperBandScheduler` over configurations in random order."""

    def __init__(self, space: TableSpace, seed: int) -> None:
        from ray.tune.schedulers import AsyncHyperBandScheduler

        names = sorted(space.table.configurations)
        self._order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
        self._scheduler = AsyncHyperBandScheduler(
            time_attr="part",
            metric="value",
            mode=space.table.mode,
            grace_period=FIRST,
            reduction_factor=REDUCTION,
            max_t=WHOLE,
        )
        self._trials: dict[int, Any] = {}

    def propose(self, number: int, taken: set[str]) -> str | None:
        """In random order."""
        self._trials[number] = SimpleNamespace(trial_id=str(number), config={})
        self._scheduler.on_trial_add(None, self._trials[number])
        return next((name for name in self._order if name not in taken), None)

    def goes_on(self, number: int, part: int, value: float) -> bool:
        """As Ray's scheduler says."""
        result = {"part": part, "value": value, "training_iteration": part}
        return bool(
            self._scheduler.on_trial_result(None, self._trials[number], result) == "CONTINUE"
        )

    def ended(self, number: int, value: float, *, finished: bool) -> None:
        """Told to the scheduler where it asks for it."""
        if finished:
            result = {"part": WHOLE, "value": value, "training_iteration": WHOLE}
            self._scheduler.on_trial_complete(None, self._trials[number], result)


class RayOptuna(RayAsha):
    """Ray Tune's `OptunaSearch` with its `AsyncHyperBandScheduler`."""

    def __init__(self, space: TableSpace, seed: int) -> None:
        super().__init__(space, seed)
        from ray.tune.search.optuna import OptunaSearch

        self._space = space
        self._names: dict[int, str] = {}
        """What the searcher calls a training."""
        self._asked = itertools.count()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._search = OptunaSearch(
                space=distributions(space), metric="value", mode=space.table.mode, seed=seed
            )

    def propose(self, number: int, taken: set[str]) -> str | None:
        """The configuration nearest to what the searcher suggests."""
        anyone = super().propose(number, taken)
        for _ in range(MOST_KNOWN if anyone is not None else 0):
            name = self._names[number] = str(next(self._asked))
            found = snapped(self._space, self._search.suggest(name), taken)
            if found not in taken:
                return found
            self._tell(name, self._space.table.final_means[found])
        return anyone

    def goes_on(self, number: int, part: int, value: float) -> bool:
        """The searcher hears of it as Tune would tell it."""
        result = {"value": value, "training_iteration": part}
        self._search.on_trial_result(self._names[number], result)
        return super().goes_on(number, part, value)

    def ended(self, number: int, value: float, *, finished: bool) -> None:
        """Tune tells a stopped trial as a complete one."""
        super().ended(number, value, finished=finished)
        self._tell(self._names[number], value)

    def _tell(self, name: str, value: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._search.on_trial_complete(name, {"value": value, "training_iteration": 1})


class OptunaPruned:
    """Optuna alone: TPE with its `SuccessiveHalvingPruner`."""

    def __init__(self, space: TableSpace, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.SuccessiveHalvingPruner(
                min_resource=FIRST, reduction_factor=REDUCTION
            ),
            direction="maximize" if space.table.mode == "max" else "minimize",
        )
        self._pruned = optuna.trial.TrialState.PRUNED
        self._failed = optuna.trial.TrialState.FAIL
        self._trials: dict[int, Any] = {}

    def propose(self, number: int, taken: set[str]) -> str | None:
        """The configuration nearest to what the study asks for."""
        if len(taken) == len(self._space.table.configurations):
            return None
        for _ in range(MOST_KNOWN):
            self._trials[number] = self._study.ask(distributions(self._space))
            found = snapped(self._space, self._trials[number].params, taken)
            if found not in taken:
                return found
            self.ended(number, self._space.table.final_means[found], finished=True)
        return None

    def goes_on(self, number: int, part: int, value: float) -> bool:
        """As Optuna's pruner says."""
        self._trials[number].report(value, part)
        return not self._trials[number].should_prune()

    def ended(self, number: int, value: float, *, finished: bool) -> None:
        """As Optuna's documentation has it told."""
        if not math.isfinite(value):
            self._study.tell(self._trials[number], state=self._failed)
        elif finished:
            self._study.tell(self._trials[number], value)
        else:
            self._study.tell(self._trials[number], state=self._pruned)


def distributions(space: TableSpace) -> dict[str, Any]:
    """A table's axes as Optuna takes them."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, Any] = {}
    for axis in space.axes:
        domain = axis.domain
        if isinstance(domain, Range):
            made = IntDistribution if domain.whole else FloatDistribution
            found[axis.name] = made(domain.low, domain.high, log=domain.log)
        else:
            found[axis.name] = CategoricalDistribution([level.name for level in axis.levels])
    return found


def snapped(space: TableSpace, parameters: dict[str, Any], taken: set[str]) -> str:
    """The nearest configuration that was not tried yet, as for our own searches."""
    point = {name: str(value) for name, value in parameters.items()}
    return space.configuration(point, taken=taken)
