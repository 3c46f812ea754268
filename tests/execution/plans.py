"""Small plans for execution tests, and the machine they run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from infra.settings import Settings, load_settings
from sweep.engine.designs.points import DesignFacts
from sweep.engine.fold import SweepFold
from sweep.engine.planning.arms import Arm, Settling
from sweep.engine.planning.cost_model import Interval
from sweep.engine.planning.plan import PlannedTrial, SweepPlan, make_plan
from sweep.engine.planning.planned_space import PlannedSpace
from sweep.engine.planning.price import Market, price_trials
from sweep.engine.replay import Replayed, replay
from sweep.records.ledger import Ledger
from sweep.spec.resolve import resolve
from sweep.spec.scheduler_spec import NoScheduler, SchedulerSpec
from sweep.spec.sweep_spec import BudgetSpec, SweepSpec
from tests.engine.known_digests import KnownDigests
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
        arms=_arms(named),
        trials=tuple(_trial(arm, config) for arm, config in named.items()),
        design=DesignFacts(kind="one_factor"),
        estimate=_FREE,
    )


def race_of(
    configs: Mapping[str, TrainerConfig],
    *,
    initial: int,
    at_most: int,
    name: str = "raced",
    seconds: float = 1.0,
) -> SweepPlan:
    """A plan in which the arms of these configs race, from so many seeds each."""
    replicates = {"race": True, "initial": initial, "at_most": at_most}
    spec = SweepSpec.model_validate({"name": name, "replicates": replicates})
    arms = _arms(configs)
    settling = Settling(baseline=TrainerConfig(), axes=(), rules=(), digests=KnownDigests())

    def planned(arm: Arm, seed: int) -> PlannedTrial:
        trial = _trial(arm.name, arm.config.model_copy(update={"seed": seed}))
        return replace(trial, seconds=trial.seconds * seconds)

    return SweepPlan(
        sweep_id=name,
        spec=spec,
        axes=(),
        arms=arms,
        trials=tuple(planned(arm, seed) for seed in range(initial) for arm in arms),
        design=DesignFacts(kind="one_factor"),
        estimate=_FREE,
        space=PlannedSpace((), settling, planned, arms),
    )


def staged_of(config: TrainerConfig, axes: Mapping[str, Sequence[object]]) -> SweepPlan:
    """A plan with a stage for each axis, the best of one being the next one's baseline."""
    stages = [{"name": name, "axes": [name]} for name in axes]
    spec = SweepSpec.model_validate(
        {
            "name": "staged",
            "baseline": "basereward-tiny",
            "axes": {name: list(levels) for name, levels in axes.items()},
            "design": {"kind": "staged", "stages": stages, "adopt": "best"},
            "replicates": {"seeds": 1},
        }
    )
    resolved = resolve(spec)
    baseline = resolved.baseline.model_copy(update={"data": config.data, "machine": config.machine})
    return make_plan(replace(resolved, baseline=baseline), digests=KnownDigests())


def taken_again(plan: SweepPlan, ledger: Ledger) -> list[Replayed]:
    """Every decision in the ledger, taken again by who plans as this plan does."""
    fold = SweepFold(plan.sweep_id, plan.trials, plan.spec, growth=plan.growth)
    return list(replay(fold, ledger.events(limit=None, sweep_id=plan.sweep_id)))


def _arms(configs: Mapping[str, TrainerConfig]) -> tuple[Arm, ...]:
    return tuple(
        Arm(name=arm, axis=None, level=None, point={}, config=config)
        for arm, config in configs.items()
    )


def _trial(arm: str, config: TrainerConfig) -> PlannedTrial:
    return PlannedTrial(
        identity=digest(active_settings(config)),
        arm=arm,
        seed=config.seed,
        config=config,
        workers=config.machine.devices,
        seconds=Interval(low=0.5, mid=1.0, high=2.0),
    )


_FREE = price_trials(
    [], market=Market(device="cpu", devices=2, usd_per_device_hour=None, calibrated_on=0)
)
