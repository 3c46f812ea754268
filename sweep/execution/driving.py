"""`SweepDriver`: asks the engine what to do, does it, and writes it down; the heart of the shell.

It holds no truth of its own. Before every decision it reads the ledger's new events, and each
decision is in the ledger before it is carried out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from sweep.engine.decision_kinds import (
    AddTrials,
    Decision,
    DropTrial,
    EndSweep,
    StartTrial,
    StopTrial,
    Wait,
    log_entry,
)
from sweep.engine.decisions import decide
from sweep.engine.fold import DECISIONS_KIND, EXPECTED_KIND, LEAVING_KIND, SweepFold
from sweep.engine.growing.growth import NewTrial
from sweep.engine.micro_batches import shrunk
from sweep.engine.planning.plan import PlannedTrial, SweepPlan
from sweep.engine.view import SweepView
from sweep.execution.cluster import Cluster
from sweep.execution.devices import Devices
from sweep.execution.dispatching import PlacedOrder
from sweep.execution.heartbeat import TTL_SECONDS
from sweep.execution.order_book import OrderBook
from sweep.execution.orders import TrialNews, TrialOrder, Verdict
from sweep.execution.outlook import Outlook
from sweep.execution.patience import DEFAULT_PATIENCE, Patience, Signs
from sweep.execution.placement import Holding, find_place
from sweep.execution.registration import add_planned
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import Holder

ROUND_SECONDS = 1.0
"""Longest time between two looks at the ledger."""
DECISIONS_AT_ONCE = 100
"""Looks in a row that lead to something; then trials are heard again."""


class SweepDriver:
    """Drives one sweep that this process has acquired."""

    def __init__(
        self,
        plan: SweepPlan,
        ledger: Ledger,
        holder: Holder,
        *,
        signs: Signs,
        patience: Patience = DEFAULT_PATIENCE,
        on_round: Callable[[SweepView], None] = lambda view: None,
    ) -> None:
        self.ended: EndSweep | None = None
        self.sweep_id = plan.sweep_id
        self._plan = plan
        self._planned: dict[str, PlannedTrial] = {t.identity: t for t in plan.trials}
        self._ledger = ledger
        self._holder = holder
        self._signs = signs
        self._patience = patience
        self._on_round = on_round
        self._fold = SweepFold(plan.sweep_id, plan.trials, plan.spec, growth=plan.growth)
        self._book = OrderBook(ledger)
        self._queue: deque[PlacedOrder] = deque()
        self._devices = Devices(ledger, holder, {trial.config.machine for trial in plan.trials})
        self._outlook = Outlook(self._fold, ledger, holder, self._book, self._devices, patience)
        self._seen: SweepView | None = None
        """What was decided on last and is not told yet."""
        self._next_round = 0.0

    def start(self) -> None:
        """Say that the sweep runs; what failed before gets another chance."""
        self._outlook.view()
        self._take_in(self._fold.added)  # a driver may have died between deciding and adding
        if unexpected := self._fold.unexpected(self._planned.values()):
            self._ledger.record_decision(self.sweep_id, EXPECTED_KIND, {"arms": unexpected})
        self._ledger.set_sweep_state(self.sweep_id, SweepState.RUNNING)

    def use(self, cluster: Cluster) -> None:
        """Execute on this cluster from now on.

        Raises:
            InputError: If a trial of the plan cannot fit on it.
        """
        self._devices.use(cluster)

    @property
    def is_over(self) -> bool:
        """Whether the sweep has ended, or this driver must leave it."""
        return self.ended is not None or self._signs.interrupted() or self._signs.lost()

    def has_work(self) -> bool:
        """Whether any trial is still to be executed, here or elsewhere."""
        return self._outlook.view().open_trials > 0

    def has_orders(self) -> bool:
        """Whether an order waits to be executed."""
        return bool(self._queue)

    def look(self) -> None:
        """Take in what happened and do what the engine decides."""
        self._look_at_devices()
        self._settle()
        self._tell()

    def _look_at_devices(self) -> None:
        """Have what lies on machines that leave end first, and ask for the sweep's part."""
        if self.is_over or not self._devices.shared:
            return
        self._devices.look()
        for order in self._book.stop_on(self._devices.leaving):
            gone = {"identity": order.attempt.identity, "node": order.node}
            self._ledger.record_decision(self.sweep_id, LEAVING_KIND, gone)
        self._devices.ask(self._outlook.view())

    def _settle(self, *, may_grow: bool = True) -> bool:
        """Decide until nothing is left to do for now; whether it broke off where trials join."""
        self._next_round = time.monotonic() + ROUND_SECONDS
        if self._signs.lost():
            self._queue.clear()
            return False
        if self._signs.interrupted():
            self._withdraw_queue()
            for order in self._book:
                self._book.stop(order)
            return False
        for _ in range(DECISIONS_AT_ONCE):
            if self.ended is not None:
                break
            self._seen = view = self._outlook.view()
            decisions = decide(view)
            if all(isinstance(decision, Wait) for decision in decisions):
                break
            grows = any(isinstance(decision, AddTrials) for decision in decisions)
            if grows and not may_grow:
                return True
            # What is decided, and what it claims, is written at once; planning what joins is slow.
            with self._ledger.together() if not grows else nullcontext():
                entry = log_entry(view, decisions)
                self._ledger.record_decision(self.sweep_id, DECISIONS_KIND, entry)
                for decision in decisions:
                    self._do(decision)
        return False

    def _tell(self) -> None:
        if self._seen is not None:
            self._on_round(self._seen)
        self._seen = None

    def _do(self, decision: Decision) -> None:
        if isinstance(decision, StartTrial):
            self._start(decision)
        elif isinstance(decision, StopTrial):
            self._book.stop_trial(decision.identity)
        elif isinstance(decision, DropTrial):
            self._ledger.move_trial(
                decision.identity,
                TrialState.STOPPED_EARLY,
                sweep_id=self.sweep_id,
                reason=decision.reason,
            )
        elif isinstance(decision, AddTrials):
            self._take_in(decision.trials)
        elif isinstance(decision, EndSweep):
            self.ended = decision
            self._ledger.set_sweep_state(self.sweep_id, decision.state, decision.reason)

    def next_order(self, like: Holding | None = None) -> PlacedOrder | None:
        """The next claimed trial."""
        self._look_if_due()
        while self._queue:
            placed = replace(self._queue[0], generation=self._devices.generation)
            if like not in (None, placed.holding):
                return None
            self._queue.popleft()
            if self._book.get(placed.order.attempt) is not None:
                return placed
        return None

    def has_live_orders(self) -> bool:
        """Whether an order is still open."""
        return len(self._book) > 0

    def hear(self, news: TrialNews) -> Verdict:
        """Write news down, look again if they matter, and say what the order is to do."""
        if self._signs.lost() or self._book.get(news.attempt) is None:
            return "end"
        if news.report is not None or news.is_last:
            self._take_in_news(news)
        else:
            self._book.take_in(news)  # a single write, if any
            self._look_if_due()
        order = self._book.get(news.attempt)
        if order is None:
            return "end"
        return "continue" if order.stop_since is None else "stop"

    def _take_in_news(self, news: TrialNews) -> None:
        """Write down what was said and what follows from it, in one transaction."""
        self._look_at_devices()
        problem: Exception | None = None
        with self._ledger.together():
            self._book.take_in(news)
            self._devices.generation += news.lost_a_machine
            try:
                joins = self._settle(may_grow=False)
            except Exception as error:  # noqa: BLE001 -- raised below: what was said is kept
                problem, joins = error, False
        if problem is not None:
            raise problem
        if joins:
            self.look()
        else:
            self._tell()

    def hear_actor_lost(self, attempt: int, error: str) -> None:
        """Give the trial back: a machine died, not the trial."""
        order = self._book.get(attempt)
        if order is not None:
            message = f"the trial's Ray actor died: {error}".strip()
            self._book.close(order, TrialState.FAILED, kind="preempted", message=message)
            self.look()

    def withdrawn(self) -> Iterable[int]:
        """Orders that are over although they may never say so."""
        # Tune asks for no further order while as many as it takes wait for their machine, and what
        # is silent tells nothing: limits, stops and Ctrl-C would not be looked at.
        self._look_if_due()
        if self._signs.lost():
            gone = list(self._book)
            for order in gone:
                self._book.drop(order)
            return [order.attempt_id for order in gone]
        return [order.attempt_id for order in self._book.close_overdue(self._patience)]

    def abandon(self) -> None:
        """Pause whatever is still open, its ranks being dead already."""
        self._queue.clear()
        if not self._signs.lost():
            for order in self._book:
                self._book.close(order, TrialState.PAUSED, message="its driver ended")

    def _look_if_due(self) -> None:
        if time.monotonic() >= self._next_round:
            self.look()

    def _start(self, decision: StartTrial) -> None:
        cluster = self._devices.cluster
        assert cluster is not None  # without work no trial is started, with work there is one
        planned = self._planned[decision.identity]
        failed_on = self._fold.trial(planned.identity).failed_on
        place = find_place(planned.config.machine, cluster, failed_on)
        attempt = self._ledger.claim(
            decision.identity,
            self.sweep_id,
            self._holder,
            TTL_SECONDS,
            planned.workers,
            retry=decision.retry,
            afresh=not decision.resume,
        )
        if attempt is None:
            return  # somebody else was faster; the next look sees it
        self._book.add(attempt, place.bundles)
        order = TrialOrder(
            attempt=attempt.attempt_id,
            identity=attempt.identity,
            config=shrunk(planned.config, decision.shrinks),
            store_uri=attempt.storage,
            resume_from=attempt.checkpoints,
            parts=place.parts,
        )
        self._queue.append(PlacedOrder(order=order, place=place))

    def _take_in(self, added: Sequence[NewTrial]) -> None:
        """Make trials that join the sweep known here and in the ledger; silent where they are."""
        if not added:
            return
        assert self._plan.space is not None
        planned = add_planned(self._ledger, self.sweep_id, self._plan.space, added)
        self._planned |= {trial.identity: trial for trial in planned}
        self._devices.machines.update(trial.config.machine for trial in planned)

    def _withdraw_queue(self) -> None:
        while self._queue:
            order = self._book.get(self._queue.popleft().order.attempt)
            if order is not None:
                self._book.close(order, TrialState.PAUSED, message="its driver was interrupted")
