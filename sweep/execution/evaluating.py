"""Scoring trained models on further benchmarks, on the same actors that train.

Nothing is claimed: an evaluation has no state but its result, and doing one twice writes the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from infra.settings import Settings
from sweep.execution.cluster import Cluster, open_cluster
from sweep.execution.dispatching import PlacedOrder
from sweep.execution.interrupts import Interrupt
from sweep.execution.listening import Launch, launch_gang
from sweep.execution.orders import TrialNews, TrialOrder, Verdict
from sweep.execution.placement import Holding, device_count, find_place
from sweep.execution.ray_watch import RayWatch
from sweep.execution.reuse import Evaluation
from sweep.execution.tuning import execute_orders
from sweep.records.ledger import Ledger
from sweep.records.score_places import BenchmarkDigests
from trainer.config import MachineConfig


class EvaluationDispatcher:
    """Hands out evaluations and writes down what they find."""

    def __init__(
        self,
        evaluations: Sequence[Evaluation],
        ledger: Ledger,
        cluster: Cluster,
        *,
        interrupted: Callable[[], bool],
    ) -> None:
        self.failures: dict[str, str] = {}
        """Why a model could not be scored, by identity."""
        self._ledger = ledger
        self._interrupted = interrupted
        self._waiting = deque(enumerate(evaluations))
        self._live: dict[int, Evaluation] = {}
        self._digests = BenchmarkDigests()
        self._cluster = cluster
        self._places = max(1, device_count([_one_worker(e) for e in evaluations], cluster))

    def next_order(self, like: Holding | None = None) -> PlacedOrder | None:
        """The next model to score, while there is room."""
        if self._interrupted() or not self._waiting or len(self._live) >= self._places:
            return None
        number, evaluation = self._waiting[0]
        order = TrialOrder(
            attempt=number,
            identity=evaluation.identity,
            config=evaluation.config,
            store_uri=evaluation.store_uri,
            benchmarks_only=True,
        )
        place = find_place(_one_worker(evaluation), self._cluster)
        placed = PlacedOrder(order=order, place=place)
        if like is not None and placed.holding != like:
            return None
        self._waiting.popleft()
        self._live[number] = evaluation
        return placed

    def has_live_orders(self) -> bool:
        """Whether a model is being scored."""
        return bool(self._live)

    def hear(self, news: TrialNews) -> Verdict:
        """Write a model's metrics down."""
        evaluation = self._live.get(news.attempt)
        if evaluation is None or self._interrupted():
            self._live.pop(news.attempt, None)
            return "end"
        if news.outcome is not None:
            del self._live[news.attempt]
            self._record(evaluation, news.outcome.metrics)
        elif news.fault is not None:
            del self._live[news.attempt]
            self.failures[evaluation.identity] = news.fault.message
        return "continue"

    def hear_actor_lost(self, attempt: int, error: str) -> None:
        """Note the failure; the next call of the command tries again."""
        evaluation = self._live.pop(attempt, None)
        if evaluation is not None:
            self.failures[evaluation.identity] = f"its Ray actor died: {error}"

    def withdrawn(self) -> Iterable[int]:
        """Those that wait for resources when an interrupt comes."""
        if not self._interrupted():
            return ()
        gone = list(self._live)
        self._live.clear()
        return gone

    def _record(self, evaluation: Evaluation, metrics: dict[str, float]) -> None:
        for benchmark in evaluation.config.evaluation.benchmarks:
            prefix = f"eval/{benchmark}/"
            found = {
                name.removeprefix(prefix): value
                for name, value in metrics.items()
                if name.startswith(prefix)
            }
            identity = evaluation.identity_on(benchmark, self._digests)
            self._ledger.record_evaluation(evaluation.identity, benchmark, identity, found)


def run_evaluations(
    evaluations: Sequence[Evaluation],
    ledger: Ledger,
    settings: Settings,
    *,
    launch: Launch = launch_gang,
) -> dict[str, str]:
    """Score models on benchmarks and record the metrics; why it failed, by identity.

    Raises:
        InputError: If no cluster answers.
        RmsweepError: If Ray failed as a whole.
    """
    if not evaluations:
        return {}
    with (
        Interrupt() as interrupt,
        RayWatch(interrupt) as watch,
        open_cluster(address=settings.ray_address, cpus=settings.cpus) as cluster,
        watch.over(cluster.vital),
    ):
        interrupt.install()
        return evaluate_on(
            cluster,
            evaluations,
            ledger,
            interrupted=lambda: interrupt.requested,
            launch=launch,
        )


def evaluate_on(
    cluster: Cluster,
    evaluations: Sequence[Evaluation],
    ledger: Ledger,
    *,
    interrupted: Callable[[], bool],
    launch: Launch,
) -> dict[str, str]:
    """As `run_evaluations`, on a cluster that is open."""
    if not evaluations:
        return {}
    dispatcher = EvaluationDispatcher(evaluations, ledger, cluster, interrupted=interrupted)
    execute_orders(dispatcher, cluster, launch=launch)
    return dispatcher.failures


def _one_worker(evaluation: Evaluation) -> MachineConfig:
    """Scoring takes one rank, however many the training took."""
    return evaluation.config.machine.model_copy(update={"workers": 1})
