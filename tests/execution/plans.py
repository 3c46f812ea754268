"""Small plans for execution tests, and the machine they run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.settings import Settings, load_settings
from sweep.engine.arms import Arm
from sweep.engine.cost_model import Interval
from sweep.engine.designs import DesignFacts
from sweep.engine.plan import PlannedTrial, SweepPlan
from sweep.engine.price import Market, price_trials
from sweep.spec.scheduler_spec import NoScheduler, SchedulerSpec
from sweep.spec.sweep_spec import BudgetSpec, SweepSpec
from trainer.config import TrainerConfig
from trainer.identity import active_settings, digest


def settings_in(home: Path, *, cpus: int = 2) -> Settings:
    """Settings of a machine that keeps everything in one folder."""
    return load_settings({"RMSWEEP_HOME": str(home), "RMSWEEP_CPUS": str(cpus)})


def plan_of(
    configs: Sequence[TrainerConfig] | Mapping[str, TrainerConfig],
    *,
    name: str = "scripted",
    budget: BudgetSpec | None = None,
    scheduler: SchedulerSpec | None = None,
) -> SweepPlan:
    """A plan with one arm per config; equal trainings are one identity, in whichever sweep."""
    named = configs if isinstance(configs, Mapping) else {f"a{i}": c for i, c in enumerate(configs)}
    spec = SweepSpec(name=name, budget=budget or BudgetSpec(), scheduler=scheduler or NoScheduler())
    content = [
        spec.model_dump(mode="json"),
        {n: c.model_dump(mode="json") for n, c in named.items()},
    ]
    return SweepPlan(
        sweep_id=f"{name}-{digest(content)[:8]}",
        spec=spec,
        axes=(),
        arms=tuple(
            Arm(name=arm, axis=None, level=None, point={}, config=config)
            for arm, config in named.items()
        ),
        trials=tuple(
            PlannedTrial(
                identity=digest(active_settings(config)),
                arm=arm,
                seed=config.seed,
                config=config,
                workers=config.machine.workers,
                seconds=Interval(low=0.5, mid=1.0, high=2.0),
            )
            for arm, config in named.items()
        ),
        design=DesignFacts(kind="one_factor"),
        estimate=price_trials(
            [], market=Market(device="cpu", devices=2, usd_per_device_hour=None, calibrated_on=0)
        ),
    )
