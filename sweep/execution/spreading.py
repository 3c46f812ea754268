"""`SpreadGang`: a gang larger than any machine, seen as one.

The actor that took the order holds the first part and speaks for all; every other part lives in an
actor of its own, on another bundle of the trial's placement group. Invariant: when one part dies,
all die, and the reason told is that of the part that died first of itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import ray
from ray.exceptions import RayActorError, RayError
from ray.util import get_node_ip_address
from ray.util.placement_group import (
    PlacementGroup,
    get_current_placement_group,
    placement_group_table,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from infra.errors import PreemptedTrial, RmsweepError, TrialFailure
from sweep.execution.job_folder import leave_job_folder
from sweep.execution.orders import TrialOrder
from trainer.gangs.rank_child import GangPart, RankFailure, to_failure
from trainer.gangs.ranks import TrialProcess, free_port, next_log_prefix
from trainer.reporting import Answer, TrialOutcome, TrialReport

LAST_WORDS_SECONDS = 5.0
"""After one part failed, how long another may still say what it died of."""
BROKEN = frozenset({"RESCHEDULING", "REMOVED"})
"""What Ray calls a placement group that has lost a machine; one in use is never removed else."""


class PartActor:
    """One part of a gang, on a machine that did not take the order."""

    def __init__(self) -> None:
        leave_job_folder()
        self._process: TrialProcess | None = None
        self._killed = False

    def run(self, order_json: str, part_json: str) -> str | None:
        """Start the part's ranks and wait for them; why they failed, as JSON, if they did."""
        order = TrialOrder.model_validate_json(order_json)
        try:
            self._process = _process(order, GangPart.model_validate_json(part_json))
            if self._killed:
                self._process.kill()
            for _ in self._process.messages():
                pass  # only rank 0 reports
        except Exception as error:  # noqa: BLE001 -- the border where any failure becomes data
            return to_failure(error).model_dump_json()
        return None

    def kill(self) -> None:
        """End the part's ranks; called while `run` waits for them."""
        self._killed = True
        if self._process is not None:
            self._process.kill()


class SpreadGang:
    """All parts of a gang; the first is in this process."""

    def __init__(self, order: TrialOrder) -> None:
        self._lock = threading.Lock()
        self._failed: RmsweepError | None = None
        self._over = threading.Event()
        address = get_node_ip_address()
        whole = GangPart(
            first=0,
            count=order.parts[0],
            master_address=address,
            master_port=free_port(address),
            log_prefix=next_log_prefix(order.store_uri, order.identity),
        )
        self._group = get_current_placement_group()
        self._actors = [_part_actor(self._group, number) for number in range(1, len(order.parts))]
        self._results: dict[ray.ObjectRef, int] = {}
        first = order.parts[0]
        for actor, count in zip(self._actors, order.parts[1:], strict=True):
            part = whole.model_copy(update={"first": first, "count": count})
            result = actor.run.remote(order.model_dump_json(), part.model_dump_json())
            self._results[result] = first
            first += count
        try:
            self._local = _process(order, whole)
        except BaseException:
            for actor in self._actors:
                ray.kill(actor)
            raise
        self._watch = threading.Thread(target=self._await_others, name="parts", daemon=True)
        self._watch.start()

    def messages(self) -> Iterator[TrialReport | TrialOutcome]:
        """What rank 0 says.

        Raises:
            RmsweepError: What the first part died of.
        """
        try:
            yield from self._local.messages()
        except TrialFailure as error:
            self._watch.join(LAST_WORDS_SECONDS)
            with self._lock:
                told = self._failed
            # Ranks whose partner vanished know only that.
            raise told if told is not None and _is_echo(error) else error from None
        finally:
            self._over.set()
            self._end_others()

    def answer(self, answer: Answer) -> None:
        """Answer the last report."""
        self._local.answer(answer)

    def stop(self) -> None:
        """Have every rank checkpoint and end at the next step; rank 0 is here and tells them."""
        self._local.stop()

    def kill(self) -> None:
        """End every rank on every machine."""
        self._local.kill()
        for actor in self._actors:
            actor.kill.remote()

    def _await_others(self) -> None:
        left = list(self._results)
        while left and not self._over.is_set():
            done, left = ray.wait(left, timeout=1.0)
            for result in done:
                failure = _failure_of(result, rank=self._results[result])
                if failure is not None:
                    self._fail(failure)
                    return
            if left and placement_group_table(self._group).get("state") in BROKEN:
                # A part that never began dies of nothing: its partners would wait for it until
                # their rendezvous gives up, which was after 601 s.
                self._fail(PreemptedTrial("a machine of the gang was lost"))
                return

    def _fail(self, failure: RmsweepError) -> None:
        with self._lock:
            self._failed = self._failed or failure
        self._local.kill()

    def _end_others(self) -> None:
        for actor in self._actors:
            with contextlib.suppress(RayActorError):
                actor.kill.remote()
        # Their logs are written as they end; a machine that is gone has none to write.
        ray.wait(list(self._results), num_returns=len(self._results), timeout=LAST_WORDS_SECONDS)
        for actor in self._actors:
            ray.kill(actor)


def _part_actor(group: PlacementGroup, bundle: int) -> ray.actor.ActorHandle:
    resources = dict(group.bundle_specs[bundle])
    return (
        ray.remote(PartActor)
        .options(
            num_cpus=resources.get("CPU", 0.0),
            num_gpus=resources.get("GPU", 0.0),
            # `kill` must be heard while `run` waits.
            max_concurrency=2,
            scheduling_strategy=PlacementGroupSchedulingStrategy(
                placement_group=group, placement_group_bundle_index=bundle
            ),
        )
        .remote()
    )


def _process(order: TrialOrder, part: GangPart) -> TrialProcess:
    return TrialProcess(
        order.config,
        store_uri=order.store_uri,
        identity=order.identity,
        resume_from=order.resume_from,
        part=part,
    )


def _failure_of(result: ray.ObjectRef, *, rank: int) -> RmsweepError | None:
    try:
        failure = ray.get(result)
    except RayError as error:
        return PreemptedTrial(f"a machine of the gang was lost: {error}")
    if failure is None:
        return None
    return RankFailure.model_validate_json(failure).to_error(rank)


def _is_echo(error: TrialFailure) -> bool:
    return error.kind in ("communication", "preempted")
