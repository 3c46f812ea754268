"""`NewsScheduler`: carries news from actors to the dispatcher and its verdicts back.

It never pauses a Tune trial: an order is executed once, and whether an identity runs again is the
engine's business. A Tune trial stands for an actor and what it holds: when its order has ended it
is given the next one that fits, since a new Tune trial costs more than all that is written of it.
"""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from sweep.execution.dispatching import Dispatcher
from sweep.execution.orders import TrialNews, TrialOrder, Verdict
from sweep.execution.placement import holding_of
from sweep.execution.trainable import NEWS_KEY, ORDER_KEY


class NewsScheduler(TrialScheduler):  # type: ignore[misc]  # Ray is untyped here
    """Carries news and verdicts."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher
        self._trials: dict[int, Trial] = {}
        """By the attempt each is at work on."""

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401
        """Remember which order the Tune trial begins with."""
        first = TrialOrder.model_validate_json(trial.config[ORDER_KEY])
        self._trials[first.attempt] = trial

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ANN401
        """Tell the dispatcher; send its verdict, or the next order, to the actor."""
        news = TrialNews.model_validate_json(result[NEWS_KEY])
        verdict = self._dispatcher.hear(news)
        if news.is_last:
            self._trials.pop(news.attempt, None)
            return self._with_next_order(trial)
        if verdict != "continue":
            _send(trial, news.attempt, verdict)
        if verdict == "end":
            self._trials.pop(news.attempt, None)
            return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401
        """The actor itself died: its node, its process, or a bug of ours in it."""
        for attempt in [number for number, each in self._trials.items() if each is trial]:
            del self._trials[attempt]
            self._dispatcher.hear_actor_lost(attempt, str(trial.get_error() or ""))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: Any) -> None:  # noqa: ANN401
        """Told already, with the last news."""

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401
        """Told already: the dispatcher withdrew it."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:  # noqa: ANN401
        """Tune's own order will do; but this is called in every round: see who is to go.

        Orders that wait for resources or whose actor fell silent report nothing that a verdict
        could answer, so they are withdrawn here.
        """
        for attempt in self._dispatcher.withdrawn():
            trial = self._trials.pop(attempt, None)
            if trial is not None:
                _send(trial, attempt, "end")
                tune_controller.stop_trial(trial)
        return None

    def _with_next_order(self, trial: Trial) -> str:
        actor = trial.temporary_state.ray_actor
        placed = None if actor is None else self._dispatcher.next_order(holding_of(trial.config))
        if placed is None:
            return str(TrialScheduler.STOP)
        self._trials[placed.order.attempt] = trial
        actor.take.remote(placed.order.model_dump_json())
        return str(TrialScheduler.CONTINUE)

    def debug_string(self) -> str:
        """One line for Tune's logs."""
        return f"{len(self._trials)} orders"


def _send(trial: Trial, attempt: int, verdict: Verdict) -> None:
    actor = trial.temporary_state.ray_actor
    if actor is not None:
        actor.hear.remote(attempt, verdict)
