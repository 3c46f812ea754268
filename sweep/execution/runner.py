"""`run_sweep`: one driver's life, from claiming the sweep to letting go of it.

Starting, resuming and taking over are the same call: whatever the ledger already holds is not done
again. However the driver leaves, it closes what it opened; if it is killed, the ledger's leases do.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.errors import InputError, RmsweepError
from infra.object_store import open_store, require_writable
from infra.settings import Settings
from sweep.engine.planning.plan import SweepPlan
from sweep.engine.progress import Progress, progress
from sweep.engine.view import SweepView
from sweep.execution.cluster import Cluster, open_cluster
from sweep.execution.driving import ROUND_SECONDS, SweepDriver
from sweep.execution.evaluating import evaluate_on
from sweep.execution.heartbeat import TTL_SECONDS, Heartbeat
from sweep.execution.interrupts import Interrupt
from sweep.execution.listening import Launch, launch_gang
from sweep.execution.notifying import Notifier
from sweep.execution.patience import DEFAULT_PATIENCE, Patience, Signs
from sweep.execution.ray_watch import RayWatch
from sweep.execution.registration import register
from sweep.execution.reuse import missing_evaluations
from sweep.execution.tuning import execute_orders
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.records.publisher import UNPUBLISHED_KIND, OpenTracker, Publisher, tracker_opener
from sweep.records.rows import Holder, SweepRow

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """How a driver left its sweep."""

    sweep_id: str
    state: SweepState
    """`running` when the driver was interrupted: whoever calls `run_sweep` again goes on."""
    reason: str
    interrupted: bool
    """By Ctrl-C or SIGTERM; its trials were paused."""
    unpublished: str | None
    """Why the tracker does not show everything yet; nothing is lost, it is caught up later."""
    unscored: Mapping[str, str]
    """Reused models that could not be scored on this sweep's benchmarks: why, by identity."""
    unread: str | None
    """Why records of trained models could not be read, which alone tell whether a benchmark's file
    has changed since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How trials are executed and shown; only tests need anything but the defaults."""

    launch: Launch = launch_gang
    patience: Patience = DEFAULT_PATIENCE
    open_tracker: Callable[[SweepRow, Settings], OpenTracker] = tracker_opener
    flush_seconds: float = 30.0
    """What publishing may take once the sweep is over; a fifth of it when interrupted."""


def run_sweep(
    plan: SweepPlan,
    ledger: Ledger,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
    execution: Execution | None = None,
) -> SweepResult:
    """Execute a sweep until it ends or this driver has to leave it.

    Args:
        plan: What is to be trained; the same plan again resumes.
        ledger: Where everything is written.
        settings: Of this machine.
        on_progress: Called about once a second, from this thread.
        execution: Defaults to real training, shown in MLflow.

    Raises:
        BusyError: If another living driver has the sweep, or took it over meanwhile.
        InputError: If an identity is not known yet, the store takes no objects, a trial fits on no
            machine, or no cluster answers.
        RmsweepError: If ledger or cluster fail for good; nothing finished is lost.
    """
    execution = execution or Execution()
    if plan.pending:
        raise InputError(
            f"sweep {plan.sweep_id} has trials whose data or backbone this machine cannot see; "
            "plan it again where they can be seen"
        )
    register(plan, ledger, settings)
    holder = Holder.here()
    with (
        Interrupt() as interrupt,
        Notifier(plan, settings) as notifier,
        RayWatch(interrupt, let_go=lambda: ledger.release_sweep(plan.sweep_id, holder)) as watch,
    ):
        ledger.acquire_sweep(plan.sweep_id, holder, TTL_SECONDS)
        opener = execution.open_tracker(ledger.sweep(plan.sweep_id), settings)
        publisher = Publisher(ledger, plan.sweep_id, opener)
        publisher.start()
        unpublished: str | None = None
        unscored: Mapping[str, str] = {}
        unread: str | None = None
        try:
            with Heartbeat(ledger, holder) as heartbeat:
                signs = Signs(
                    interrupted=lambda: interrupt.requested,
                    lost=lambda: heartbeat.lost is not None,
                )
                driver = SweepDriver(
                    plan,
                    ledger,
                    holder,
                    signs=signs,
                    patience=execution.patience,
                    on_round=_once_a_second(on_progress, notifier),
                )
                unscored, unread = _drive(driver, ledger, settings, watch, execution.launch)
                if heartbeat.lost is not None:
                    raise heartbeat.lost
        finally:
            # A ledger that cannot be reached lets go by itself when the lease lapses.
            with contextlib.suppress(RmsweepError):
                ledger.release_sweep(plan.sweep_id, holder, interrupted=interrupt.requested)
            hurry = 5.0 if interrupt.requested else 1.0
            unpublished = _publish_rest(publisher, execution.flush_seconds / hurry)
        row = ledger.sweep(plan.sweep_id)
        notifier.ended(row.state, row.reason)
    if unpublished is not None:
        ledger.record_decision(plan.sweep_id, UNPUBLISHED_KIND, {"reason": unpublished})
    return SweepResult(
        sweep_id=plan.sweep_id,
        state=row.state,
        reason=row.reason,
        interrupted=interrupt.requested and driver.ended is None,
        unpublished=unpublished,
        unscored=unscored,
        unread=unread,
    )


def _drive(
    driver: SweepDriver,
    ledger: Ledger,
    settings: Settings,
    watch: RayWatch,
    launch: Launch,
) -> tuple[dict[str, str], str | None]:
    """Execute what is left, then score what reused models lack.

    Returns:
        What could not be scored, with the reasons, and why records could not be read.
    """
    interrupt = watch.interrupt
    driver.start()
    try:
        if not driver.has_work():
            driver.look()  # no cluster is started only to conclude; a sweep may grow instead
            if driver.is_over:
                missing = missing_evaluations(ledger, driver.sweep_id)
                if not missing.evaluations:
                    return {}, missing.unread
        # Told at once, where it had been told by every trial in turn.
        require_writable(open_store(ledger.sweep(driver.sweep_id).storage))
        with (
            open_cluster(address=settings.ray_address, cpus=settings.cpus) as cluster,
            watch.over(cluster.vital),
        ):
            interrupt.install()  # Ray has taken SIGTERM
            driver.use(cluster)
            _execute(driver, cluster, launch)
            if not driver.ended:
                return {}, None
            missing = missing_evaluations(ledger, driver.sweep_id)
            unscored = evaluate_on(
                cluster,
                missing.evaluations,
                ledger,
                interrupted=lambda: interrupt.requested,
                launch=launch,
            )
            return unscored, missing.unread
    except KeyboardInterrupt:
        if interrupt.error is not None:
            raise
        interrupt.requested = True  # the second Ctrl-C; leaving the cluster has ended everything
        return {}, None
    finally:
        driver.abandon()


def _execute(driver: SweepDriver, cluster: Cluster, launch: Launch) -> None:
    while True:
        driver.look()
        if driver.has_orders():
            execute_orders(driver, cluster, launch=launch)
        elif driver.is_over:
            return
        else:
            # Others run what is left, or a limit is awaited: there is nobody to hear.
            time.sleep(ROUND_SECONDS)


def _once_a_second(
    on_progress: OnProgress | None, notifier: Notifier
) -> Callable[[SweepView], None]:
    told = 0.0

    def tell(view: SweepView) -> None:
        nonlocal told
        now = time.monotonic()
        notifier.see(view)
        if now - told >= ROUND_SECONDS:
            told = now
            figures = progress(view)
            notifier.see(view, figures)
            if on_progress is not None:
                on_progress(figures)

    return tell


def _publish_rest(publisher: Publisher, timeout_seconds: float) -> str | None:
    """Publish what is left; why that did not work, if it did not."""
    if publisher.stop(timeout_seconds):
        return None
    return publisher.problem or f"the tracker took more than {timeout_seconds:g} s"
