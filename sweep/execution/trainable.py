"""`TrialActor`: the thin Ray actor that stands between Tune and one gang at a time.

It owns no training and no decisions: an order comes in as text, every Tune iteration
returns one `TrialNews`, at the latest after `TICK_SECONDS`, so the driver can always answer. The
actor outlives its orders: what it keeps warm is the forkserver that ranks are forked from.
"""

from __future__ import annotations

import socket
from typing import Any, ClassVar

import ray
from ray.tune import Trainable
from ray.util.placement_group import get_current_placement_group, placement_group_table

from sweep.execution.job_folder import leave_job_folder
from sweep.execution.listening import GangListener, Launch, launch_gang
from sweep.execution.orders import TrialFault, TrialNews, TrialOrder, Verdict
from trainer.reporting import Answer, TrialOutcome, TrialReport

TICK_SECONDS = 1.0
"""Longest silence of an actor; also how late a verdict may reach its gang."""
ORDER_KEY = "order"
NEWS_KEY = "news"


class TrialActor(Trainable):  # type: ignore[misc]  # Ray is untyped here
    """Executes orders one after the other."""

    launch: ClassVar[Launch] = staticmethod(launch_gang)

    _order: TrialOrder
    _listener: GangListener | None = None
    _answer: Answer = "continue"
    _unanswered: bool = False
    _machines: tuple[str, ...] = ()

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first order."""
        leave_job_folder()
        self.take(config[ORDER_KEY])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin anew, for another Tune trial."""
        self.take(new_config[ORDER_KEY])
        return True

    def take(self, order: str) -> None:
        """Take the next order; what was left of the last one ends."""
        self.cleanup()
        self._order = TrialOrder.model_validate_json(order)
        self._answer = "continue"
        self._unanswered = False

    def step(self) -> dict[str, Any]:
        """Answer the report given last, then wait a moment for news."""
        if self._listener is None:
            # Not before: Tune makes actors it then puts aside for one that has become free.
            self._listener = GangListener(self._order, type(self).launch)
            self._machines = machines_of_gang(self._order)
        if self._unanswered:
            self._listener.answer(self._answer)
            self._unanswered = False
        message = self._listener.next_message(TICK_SECONDS)
        self._unanswered = isinstance(message, TrialReport)
        news = TrialNews(
            attempt=self._order.attempt,
            node=socket.gethostname(),
            machines=self._machines,
            report=message if isinstance(message, TrialReport) else None,
            outcome=message if isinstance(message, TrialOutcome) else None,
            fault=message if isinstance(message, TrialFault) else None,
        )
        return {NEWS_KEY: news.model_dump_json()}

    def hear(self, attempt: int, verdict: Verdict) -> None:
        """Take the driver's verdict; Ray delivers it before the driver's next `train` call."""
        if attempt != self._order.attempt or self._listener is None:
            return  # said of an order that has ended since
        if verdict == "end":
            self._listener.kill()
        elif verdict == "stop":
            self._answer = "stop"  # to a report that is on its way already
            self._listener.stop()

    def cleanup(self) -> None:
        """End what still runs."""
        if self._listener is not None:
            self._listener.kill()
            self._listener = None


def machines_of_gang(order: TrialOrder) -> tuple[str, ...]:
    """Ray's ids of the machines this actor's gang lies on."""
    if len(order.parts) == 1:
        return (ray.get_runtime_context().get_node_id(),)
    lies = placement_group_table(get_current_placement_group())["bundles_to_node_id"]
    return tuple(sorted(set(lies.values())))


def actor_class(launch: Launch) -> type[TrialActor]:
    """A `TrialActor` whose gangs are started by the given function."""
    return type("TrialActor", (TrialActor,), {"launch": staticmethod(launch)})
