"""`TrainingLoop`: optimizer steps from where a trial stands to its end, with reports on the way.

Reports, evaluations and checkpoints happen at steps that follow from the config alone, so all
ranks meet there and a resumed training meets them again. Only a stop comes when it comes: rank 0
hears it, all ranks agree on it after each step, and the report and checkpoint it makes change
nothing about the steps that follow a resume.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from infra.errors import DivergedTrial
from trainer.config import TrainerConfig
from trainer.gangs.gang import Gang
from trainer.phases import Phase, phase_of_step, training_phases
from trainer.prompting.examples import Examples
from trainer.reporting import Answer, CheckpointReference, TrialReport, TrialReporter
from trainer.training.batch_feed import BatchFeed
from trainer.training.checkpoint import Checkpoints, WholeCheckpoint
from trainer.training.objective import REPORTED, Objective, StepWeights

if TYPE_CHECKING:
    from trainer.training.deepspeed_engine import DeepSpeedEngine

REPORTS = 12
"""Of training metrics in a trial, spread evenly."""

CHECKPOINT_SECONDS = 600.0
"""A report this long after the last checkpoint makes one, whatever the config asks for."""

Monitor = Callable[[], dict[str, float]]
"""Evaluates the monitored benchmark: `eval/<benchmark>/<metric>`."""


def evaluation_steps(config: TrainerConfig) -> set[int]:
    """Steps after which the monitor is evaluated and a checkpoint kept."""
    total = config.total_steps
    return {min(total, max(0, round(part * total))) for part in config.evaluation.during}


def report_steps(config: TrainerConfig) -> set[int]:
    """Steps after which a report is made: evaluations, and an even spread."""
    total = config.total_steps
    spread = {math.ceil(total * part / REPORTS) for part in range(1, REPORTS + 1)}
    return spread | evaluation_steps(config)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParts:
    """What a loop drives."""

    config: TrainerConfig
    engine: Callable[[Phase], DeepSpeedEngine]
    """Takes the model into a phase, once the engine before it has ended."""
    examples: Examples
    gang: Gang
    checkpoints: Checkpoints
    reporter: TrialReporter
    monitor: Monitor
    stop_asked: Callable[[], bool]
    """Whether the trial was told to stop by now; rank 0's word counts, the others' is not heard."""
    started: float
    """`time.monotonic()` when the attempt began."""


class TrainingLoop:
    """One attempt's training."""

    def __init__(self, parts: LoopParts, *, resume_from: WholeCheckpoint | None) -> None:
        config = parts.config
        self._phases = training_phases(config)
        # A checkpoint at the end of a phase was made in it, so that is where it is read.
        self.step = resume_from.step if resume_from is not None else 0
        self._phase = phase_of_step(self._phases, max(0, self.step - 1))
        self.engine = parts.engine(self._phase)
        if resume_from is not None:
            parts.checkpoints.load(self.engine, resume_from)
        self._parts = parts
        self._resumed = resume_from
        self._objective = Objective(config)
        self._feed = BatchFeed(parts.examples, config, parts.gang)
        self._evaluations = evaluation_steps(config)
        self._reports = report_steps(config)
        self._sums = torch.zeros(len(REPORTED), device=parts.gang.device)
        self._steps_since = 0
        self._norm = 0.0
        self._since = time.monotonic()
        self._checkpointed = time.monotonic()
        # Agreed on: what is cached, or whether there is any image, may differ between shares.
        self._always_encode = parts.gang.size > 1 and parts.gang.any(
            parts.examples.encoded_in_model
        )

    def run(self) -> bool:
        """Train to the end; False when the listener stopped it, with a checkpoint left behind.

        Raises:
            DivergedTrial: When the loss or the gradient norm stops being finite.
        """
        self.engine.module.train()
        try:
            return self._run()
        finally:
            self._feed.close()

    def _run(self) -> bool:
        if self._resumed is not None and self._resumed.note and self._tell_refused() == "stop":
            return False
        if self.step == 0 and 0 in self._evaluations and self._report() == "stop":
            return False
        while self.step < self._parts.config.total_steps:
            if self.step == self._phase.last:
                self._next_phase()
            self.train_step()
            told = self._told_to_stop()
            if (told or self.step in self._reports) and self._report(stop=told) == "stop":
                return False
        self._complete()
        return True

    def _tell_refused(self) -> Answer:
        """Tell which checkpoints were refused, and which one the training stands on instead."""
        assert self._resumed is not None
        return self._say({}, self._resumed.reference, note=self._resumed.note)

    def _next_phase(self) -> None:
        self.engine.end()
        self._phase = phase_of_step(self._phases, self.step)
        self.engine = self._parts.engine(self._phase)
        self.engine.module.train()

    def train_step(self) -> None:
        """One optimizer step.

        Raises:
            DivergedTrial: When the loss or the gradient norm stops being finite.
        """
        parts = self._parts
        items = parts.examples.items
        indices = self._feed.order.step(self.step)
        weights = StepWeights.of([items[index] for index in indices], parts.config.strategy)
        sums = torch.zeros_like(self._sums)
        for batch, last in self._feed.step(self.step):
            outputs = self.engine(batch, last=last, always_encode_images=self._always_encode)
            loss, part = self._objective(outputs, batch.examples, weights)
            self.engine.backward(loss)
            sums += part
            if not last:
                self.engine.next_micro_batch()
        self._norm = self.engine.step(self.step)
        self.step += 1
        # Summed over the ranks before anybody looks, so that all leave together: those that went on
        # would wait for the others in another collective.
        told = parts.gang.total(sums)
        if not (math.isfinite(self._norm) and math.isfinite(told[0])):
            self._complete()  # a checkpoint under way is from before: what one can go back to
            raise DivergedTrial(
                f"at step {self.step} the loss was {float(told[0]):.4g} and the gradient norm "
                f"{self._norm:.4g}; lower strategy.learning_rate or "
                "strategy.gradient_clipping, or use fp32"
            )
        self._sums += told
        self._steps_since += 1

    def _told_to_stop(self) -> bool:
        """Whether rank 0 was; one number is broadcast where there are several ranks."""
        gang = self._parts.gang
        return bool(gang.share(int(gang.leads and self._parts.stop_asked())))

    def _report(self, *, stop: bool = False) -> Answer:
        """Tell where the training stands; a stop given, or answered, ends in a checkpoint."""
        parts = self._parts
        metrics = self._training_metrics()
        self._feed.settle()
        due = self.step in self._evaluations
        if due:
            metrics |= parts.monitor()
        # Written while training went on, complete now that all ranks meet again.
        reference = parts.checkpoints.finish()
        late = time.monotonic() - self._checkpointed > CHECKPOINT_SECONDS
        if due or parts.gang.share(int(late)):
            self._checkpoint()
        answer = self._say(metrics, reference)
        if stop:
            answer = "stop"  # whatever was answered before the stop came
        if answer == "stop":
            self._checkpoint()
            self._complete()
        self._since = time.monotonic()
        return answer

    def _complete(self) -> None:
        """Report the checkpoint that is being written, if there is one."""
        reference = self._parts.checkpoints.finish()
        if reference is not None:
            self._say({}, reference)

    def _say(
        self, metrics: dict[str, float], reference: CheckpointReference | None, *, note: str = ""
    ) -> Answer:
        parts = self._parts
        stop = False
        if parts.gang.leads:
            report = TrialReport(
                step=self.step,
                fraction=self.step / parts.config.total_steps,
                seconds=time.monotonic() - parts.started,
                metrics=metrics,
                checkpoint=reference,
                note=note,
            )
            stop = parts.reporter.report(report) == "stop"
        return "stop" if parts.gang.share(int(stop)) else "continue"

    def _checkpoint(self) -> None:
        self._checkpointed = time.monotonic()
        self._parts.checkpoints.begin(self.engine, self.step)

    def _training_metrics(self) -> dict[str, float]:
        if not self._steps_since:
            return {}
        parts = self._parts
        strategy = parts.config.strategy
        means = (value / self._steps_since for value in self._sums.tolist())
        loss, critique, right, margin, weight = means
        pairs = self._steps_since * strategy.batch_pairs
        metrics = {
            "train/loss": loss,
            "train/accuracy": right / weight if weight else 0.0,
            "train/margin": margin / weight if weight else 0.0,
            "train/gradient_norm": self._norm,
            "train/learning_rate": self._phase.rate(self.step - 1, strategy),
            "train/pairs_per_second": pairs / max(1e-9, time.monotonic() - self._since),
        }
        if parts.config.paradigm == "critic" or parts.config.judge.reasoning:
            metrics["train/critique_loss"] = critique
        self._sums.zero_()
        self._steps_since = 0
        return metrics
