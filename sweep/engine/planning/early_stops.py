"""Rungs in a plan: where trials evaluate for them, and what stopping arms early saves at most."""

from __future__ import annotations

from sweep.spec.scheduler_spec import NoScheduler, SchedulerSpec
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig


def with_rungs(config: TrainerConfig, spec: SweepSpec) -> TrainerConfig:
    """The config with the objective evaluated, and a checkpoint kept, at every rung."""
    rungs = spec.scheduler.rungs
    if not rungs:
        return config
    during = tuple(sorted({*config.evaluation.during, *rungs}))
    evaluation = config.evaluation.model_copy(
        update={"during": during, "monitor": spec.objective.benchmark}
    )
    return config.model_copy(update={"evaluation": evaluation})


def least_share(arms: int, scheduler: SchedulerSpec, *, with_baseline: bool) -> float:
    """Share of all training that is done at least; 1 where nothing is stopped early.

    From every rung `floor(n / reduction)` of its arms go on, one at least, and the baseline always
    (`sweep.engine.rungs`). More may: who goes on early may be overtaken later.

    Args:
        arms: That compete in one field, each as costly as the others.
        scheduler: Its rungs and its reduction.
        with_baseline: Whether one of the arms is the baseline, which is never stopped.
    """
    if isinstance(scheduler, NoScheduler) or arms < 1:
        return 1.0
    left = arms - with_baseline
    before, done = 0.0, float(with_baseline)
    for stop in (*scheduler.rungs, 1.0):
        done += left * (stop - before)
        before = stop
        left = max(1, left // scheduler.reduction) if left else 0
    return done / arms
