"""Gangs that follow a script instead of training, in real actors; for tests of messages only.

The script is in the order's config: `data.sources.script.settings`. A gang leaves one line per
execution in the store, so tests can count what really ran.
"""

from __future__ import annotations

import hashlib
import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import ray

from infra.errors import DivergedTrial
from infra.tracking import NullTracker
from sweep.execution.orders import TrialOrder
from sweep.execution.patience import Patience
from sweep.execution.runner import Execution
from trainer.config import DataConfig, MachineConfig, SourceConfig, TrainerConfig
from trainer.reporting import Answer, CheckpointReference, TrialOutcome, TrialReport

OUTCOME = TrialOutcome(
    finished=True,
    step=1,
    fraction=1.0,
    seconds=0.0,
    metrics={"eval/validation/accuracy": 0.5},
    model_digest="0" * 64,
)
"""Of a training that took no time at all."""


def script(
    *,
    seed: int = 0,
    steps: int = 3,
    step_seconds: float = 0.02,
    fails_at: int = 0,
    exits_at: int = 0,
    bad_machine: bool = False,
    workers: int = 1,
    per_layer: float = 0.0,
) -> TrainerConfig:
    """A config whose gang reports `steps` steps, unless it fails or its actor dies at one.

    With `bad_machine` its actor dies on whichever machine it was first on.
    Every layer of its head makes it better by `per_layer`.
    """
    settings = {
        "steps": steps,
        "step_seconds": step_seconds,
        "fails_at": fails_at,
        "exits_at": exits_at,
        "bad_machine": bad_machine,
        "per_layer": per_layer,
    }
    return TrainerConfig(
        seed=seed,
        data=DataConfig(
            weights={"script": 1.0},
            pairs=64 * steps,  # one optimizer step for each of the script's
            sources={"script": SourceConfig(kind="script", settings=settings)},
        ),
        machine=MachineConfig(workers=workers),
    )


def launch_script(order: TrialOrder) -> ScriptedGang:
    """Start the gang an order's config describes."""
    return ScriptedGang(order)


def executions(store: Path) -> list[tuple[str, int, int, int]]:
    """Identity, first step, process and attempt of every execution, in order."""
    path = store / "executions.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [
        (name, int(step), int(process), int(attempt))
        for name, step, process, attempt in (line.split() for line in lines)
    ]


class ScriptedGang:
    """Reports its steps and goes on from checkpoints as a trainer would."""

    def __init__(self, order: TrialOrder) -> None:
        self._order = order
        self._script = order.config.data.sources["script"].settings
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._stopped = False
        self._killed = False

    def messages(self) -> Iterator[TrialReport | TrialOutcome]:
        """One report a step, then the outcome."""
        first = self._order.resume_from[0].step if self._order.resume_from else 0
        self._note_execution(first)
        if self._script["bad_machine"] and self._is_on_its_first_machine():
            self._wait_a_step()
            os._exit(1)
        began = time.monotonic()
        steps = int(self._script["steps"])
        for step in range(first + 1, steps + 1):
            self._wait_a_step()
            if step == self._script["fails_at"]:
                raise DivergedTrial(f"the loss was not finite at step {step}")
            if step == self._script["exits_at"] and not self._order.resume_from:
                os._exit(1)
            seconds = time.monotonic() - began
            yield TrialReport(
                step=step,
                fraction=step / steps,
                seconds=seconds,
                metrics={
                    "train/loss": 1.0 / step,
                    "eval/validation/accuracy": self._accuracy,
                },
                checkpoint=CheckpointReference(step=step, manifest_sha256=_digest(step)),
            )
            if self._answers.get() == "stop" or self._stopped:
                yield self._outcome(step, finished=False, seconds=seconds)
                return
        yield self._outcome(steps, finished=True, seconds=time.monotonic() - began)

    def answer(self, answer: Answer) -> None:
        """Take the answer to the last report."""
        self._answers.put(answer)

    def stop(self) -> None:
        """End after this step."""
        self._stopped = True

    def kill(self) -> None:
        """End within a step."""
        self._killed = True

    def _wait_a_step(self) -> None:
        until = time.monotonic() + float(self._script["step_seconds"])
        while time.monotonic() < until:
            if self._killed:
                raise DivergedTrial("it was killed")
            time.sleep(0.01)

    def _outcome(self, step: int, *, finished: bool, seconds: float) -> TrialOutcome:
        return TrialOutcome(
            finished=finished,
            step=step,
            fraction=step / int(self._script["steps"]),
            seconds=seconds,
            metrics={"eval/validation/accuracy": self._accuracy} if finished else {},
            model_digest=_digest(self._order.identity) if finished else None,
        )

    @property
    def _accuracy(self) -> float:
        config = self._order.config
        return accuracy_of(config.seed) + float(self._script["per_layer"]) * config.head.layers

    def _is_on_its_first_machine(self) -> bool:
        here = str(ray.get_runtime_context().get_node_id())
        folder = Path(self._order.store_uri.removeprefix("file:"))
        noted = folder / f"{self._order.identity}.machine"
        if not noted.exists():
            noted.write_text(here)
        return noted.read_text() == here

    def _note_execution(self, first_step: int) -> None:
        folder = Path(self._order.store_uri.removeprefix("file:"))
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "executions.txt").open("a") as file:
            identity, attempt = self._order.identity, self._order.attempt
            file.write(f"{identity} {first_step} {os.getpid()} {attempt}\n")


def accuracy_of(seed: int) -> float:
    """What a gang with this seed reaches, however often it was broken off."""
    return 0.5 + int(_digest(seed)[:4], 16) / 2**18


SCRIPTED = Execution(
    launch=launch_script,
    patience=Patience(grace=60.0),
    open_tracker=lambda sweep, settings: NullTracker,
)
"""Scripts instead of training, shown nowhere."""


def _digest(value: object) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()
