"""What an actor is given when its order has ended, as Tune's messengers and the driver have it."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from infra.settings import Settings
from sweep.engine.planning.plan import SweepPlan
from sweep.execution.cluster import Cluster, Node
from sweep.execution.dispatching import PlacedOrder
from sweep.execution.driving import SweepDriver
from sweep.execution.orders import TrialFault, TrialNews, TrialOrder
from sweep.execution.patience import Signs
from sweep.execution.placement import placement_request
from sweep.execution.registration import register
from sweep.execution.scheduler import NewsScheduler
from sweep.execution.searcher import OrderSearcher
from sweep.execution.trainable import NEWS_KEY, ORDER_KEY
from sweep.records.ledger import Ledger
from sweep.records.rows import Holder
from tests.execution.plans import plan_of
from tests.execution.scripted import OUTCOME, script

TRIALS = 3
HOLDER = Holder.here()


class Actor:
    """Stands for a Ray actor: what it was told to take."""

    def __init__(self) -> None:
        self.taken: list[TrialOrder] = []
        self.take = SimpleNamespace(remote=self._take)
        self.hear = SimpleNamespace(remote=lambda attempt, verdict: None)

    def _take(self, order: str) -> None:
        self.taken.append(TrialOrder.model_validate_json(order))


def started(
    plan: SweepPlan, ledger: Ledger, settings: Settings, machines: tuple[Node, ...]
) -> SweepDriver:
    """A driver of this process that has begun what these machines hold."""
    register(plan, ledger, settings)
    ledger.acquire_sweep(plan.sweep_id, HOLDER, ttl_seconds=600)
    signs = Signs(interrupted=lambda: False, lost=lambda: False)
    driver = SweepDriver(plan, ledger, HOLDER, signs=signs)
    driver.start()
    driver.use(Cluster(embedded=True, nodes=machines))
    driver.look()
    return driver


@pytest.fixture
def driver(ledger: Ledger, settings: Settings) -> SweepDriver:
    """A driver of trials of two workers each, on two machines of one CPU."""
    plan = plan_of([script(seed=seed, workers=2) for seed in range(TRIALS)])
    machines = tuple(Node(cpus=1.0, gpus=0.0, node_id=name) for name in "ab")
    return started(plan, ledger, settings, machines)


def begun(driver: SweepDriver) -> tuple[NewsScheduler, Any]:
    """Tune's messenger, and the Tune trial that began with the driver's first order."""
    config = OrderSearcher(driver).suggest("first")
    assert isinstance(config, dict)
    trial = SimpleNamespace(config=config, temporary_state=SimpleNamespace(ray_actor=Actor()))
    scheduler = NewsScheduler(driver)
    scheduler.on_trial_add(None, trial)
    return scheduler, trial


def tell(scheduler: NewsScheduler, trial: Any, order: TrialOrder, **last: Any) -> str:  # noqa: ANN401
    news = TrialNews(attempt=order.attempt, node="here", machines=("a", "b"), **last)
    return scheduler.on_trial_result(None, trial, {NEWS_KEY: news.model_dump_json()})


def test_an_actor_takes_one_order_after_the_other_within_one_tune_trial(
    driver: SweepDriver,
) -> None:
    scheduler, trial = begun(driver)
    order = TrialOrder.model_validate_json(trial.config[ORDER_KEY])
    actor = trial.temporary_state.ray_actor

    for number in range(1, TRIALS):
        assert tell(scheduler, trial, order, outcome=OUTCOME) == TrialScheduler.CONTINUE
        assert len(actor.taken) == number
        order = actor.taken[-1]

    assert tell(scheduler, trial, order, outcome=OUTCOME) == TrialScheduler.STOP
    assert driver.ended is not None
    assert driver.ended.state == "succeeded"


def test_what_held_a_place_on_a_lost_machine_is_given_no_further_order(
    driver: SweepDriver,
) -> None:
    scheduler, trial = begun(driver)
    order = TrialOrder.model_validate_json(trial.config[ORDER_KEY])
    lost = TrialFault(kind="preempted", message="a machine of the gang was lost")

    assert tell(scheduler, trial, order, fault=lost) == TrialScheduler.STOP

    assert trial.temporary_state.ray_actor.taken == []
    other = OrderSearcher(driver).suggest("second")
    assert isinstance(other, dict)
    assert TrialOrder.model_validate_json(other[ORDER_KEY]).identity != order.identity
    # Tune reuses an actor for an equal request alone.
    assert placement_request(other) != placement_request(trial.config)


def test_orders_that_wait_for_their_machine_end_when_the_sweep_is_stopped(
    driver: SweepDriver, ledger: Ledger
) -> None:
    # Tune has as many pending trials as it takes: it asks for no other, and none says anything.
    scheduler, trial = begun(driver)
    stopped: list[Any] = []
    tune = SimpleNamespace(stop_trial=stopped.append)

    ledger.request_stop(driver.sweep_id)
    until = time.monotonic() + 60.0
    while not stopped and time.monotonic() < until:
        assert scheduler.choose_trial_to_run(tune) is None
        time.sleep(0.1)

    assert stopped == [trial]
    assert not driver.has_live_orders()
    assert [one.state for one in ledger.trials(driver.sweep_id)] == ["paused", "pending", "pending"]


def test_a_driver_that_takes_over_tries_a_trial_on_another_machine_than_failed_it(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([script()])
    machines = tuple(Node(cpus=1.0, gpus=0.0, node_id=name) for name in "abc")

    def driven() -> tuple[SweepDriver, PlacedOrder]:
        driver = started(plan, ledger, settings, machines)
        placed = driver.next_order()
        assert placed is not None
        return driver, placed

    for gone, avoided in (("a", ()), ("b", ("a",))):
        driver, placed = driven()
        assert placed.place.avoided == avoided
        vanished = TrialFault(kind="communication", message="a rank was killed")
        attempt = placed.order.attempt
        driver.hear(TrialNews(attempt=attempt, node="h", machines=(gone,), fault=vanished))
        # Who takes over from one that was interrupted waits for nothing.
        ledger.release_sweep(plan.sweep_id, HOLDER, interrupted=True)

    assert driven()[1].place.avoided == ("a", "b")
