"""`SweepPlan`: every trial of a sweep with its identity, in the order to run them, and its price.

Seeds are outermost and the baseline comes first, so that a sweep that is stopped halfway leaves a
balanced table. The same resolved sweep and digests always give the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from infra.errors import Problem, SpecError
from search_spaces.axes import Axis
from search_spaces.points import BASELINE
from sweep.engine.designs.points import DesignFacts
from sweep.engine.growing.growth import Growth
from sweep.engine.growing.rules import make_growth
from sweep.engine.growing.searching import refuse_sampler
from sweep.engine.micro_batches import smaller_sizes
from sweep.engine.planning.arms import Arm, Digests, make_arms
from sweep.engine.planning.cost_model import (
    CPU_CORE,
    CostModel,
    DeviceRate,
    Interval,
    MeasuredTrial,
    arithmetic_seconds,
)
from sweep.engine.planning.early_stops import least_share, with_rungs
from sweep.engine.planning.footprint import Layouts
from sweep.engine.planning.later_stages import LaterTrial, later_trials
from sweep.engine.planning.planned_space import PlannedSpace
from sweep.engine.planning.price import Market, PriceEstimate, TrialPrice, price_trials
from sweep.spec.resolve import ResolvedSweep
from sweep.spec.sweep_spec import ResourcesSpec, SweepSpec
from trainer.config import TrainerConfig
from trainer.identity import digest, identity_with_seed

MAX_TRIALS = 100_000
PENDING_PREFIX = "pending-"
"""Starts the provisional name of a trial whose identity is not known yet; it is never executed."""
_IDENTITY_DIGITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrial:
    """One arm with one seed."""

    identity: str
    """64 characters; starts with `pending-` while a digest is missing."""
    arm: str
    seed: int
    config: TrainerConfig
    workers: float
    """Devices of its gang."""
    seconds: Interval
    """Expected wall time of the whole training."""
    pending: bool = False
    """May not be executed: its identity is not known yet."""
    finished: bool = False
    """Trained already, here or in another sweep; it is reused and costs nothing."""

    @property
    def seconds_estimate(self) -> float:
        """The middle of `seconds`."""
        return self.seconds.mid

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.config.total_steps

    @property
    def shrinks(self) -> int:
        """How often its micro batch can be made smaller when it runs out of memory."""
        return len(smaller_sizes(self.config))


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What a sweep will do."""

    sweep_id: str
    """Name and eight digits of what is trained and asked; budget and places do not matter."""
    spec: SweepSpec
    axes: tuple[Axis, ...]
    arms: tuple[Arm, ...]
    """The baseline first, if it is among them."""
    trials: tuple[PlannedTrial, ...]
    """In the order to run them: every arm with one seed before any gets the next, longest first."""
    estimate: PriceEstimate
    design: DesignFacts
    """What can be told apart in it."""
    missing: tuple[str, ...] = ()
    """Data and backbones this machine cannot see, for which trials are pending."""
    space: PlannedSpace | None = field(default=None, repr=False, compare=False)
    """What further points train; absent where nothing can be added."""
    later: tuple[LaterTrial, ...] = field(default=(), repr=False, compare=False)
    """What stages add to the trials, from the baseline as it is."""

    @property
    def growth(self) -> Growth:
        """By which rule it grows while it runs."""
        return make_growth(self.spec, self.space)

    @property
    def pending(self) -> bool:
        """Whether any identity is not known yet: plan again where the data can be seen."""
        return any(t.pending for t in (*self.trials, *(each.trial for each in self.later)))

    @property
    def to_execute(self) -> tuple[PlannedTrial, ...]:
        """The trials that are not finished yet."""
        return tuple(trial for trial in self.trials if not trial.finished)


def make_plan(
    resolved: ResolvedSweep,
    *,
    digests: Digests,
    history: Sequence[MeasuredTrial] = (),
    devices: int = 1,
    device: DeviceRate = CPU_CORE,
    gib: float | None = None,
) -> SweepPlan:
    """The plan of a resolved sweep.

    Args:
        resolved: Baseline and axes, settled.
        digests: Content of data and backbones.
        history: What earlier trainings took; corrects the estimate.
        devices: How many there are to run on, for the makespan.
        device: Their kind.
        gib: Memory of one, for trials that are to be laid out by it.

    Raises:
        SpecError: If the design has no points or too many, or some are no valid config.
        InputError: If a trial that is to be laid out fits in no way.
    """
    spec = resolved.spec
    designed = make_arms(
        spec.design,
        baseline=with_rungs(_with_seed(resolved.baseline, spec.replicates.first_seed), spec),
        axes=resolved.axes,
        digests=digests,
        rules=resolved.rules,
        source=f"sweep {spec.name}",
    )
    _refuse_too_many(spec, len(designed.arms))
    refuse_sampler(spec)
    lay_out = _layouts(spec, device, gib=gib, devices=devices)
    arms = tuple(replace(arm, config=lay_out(arm.config)) for arm in designed.arms)
    model = CostModel(device, history)
    trials = _trials(spec, arms, model)
    market = Market(
        device=device.name,
        devices=devices,
        usd_per_device_hour=spec.budget.usd_per_gpu_hour,
        calibrated_on=model.calibrated_on,
    )
    space = PlannedSpace(
        resolved.axes,
        designed.settling,
        lambda arm, seed: _trial(model, replace(arm, config=lay_out(arm.config)), seed),
        designed.arms,
        least_difference=_least_difference(resolved),
    )
    return SweepPlan(
        sweep_id=_sweep_id(resolved),
        spec=spec,
        axes=resolved.axes,
        arms=arms,
        trials=trials,
        estimate=_priced(spec, trials, market),
        design=designed.facts,
        space=space,
        later=later_trials(spec, space, {t.identity for t in trials}, at_most=MAX_TRIALS),
    )


def _layouts(
    spec: SweepSpec, device: DeviceRate, *, gib: float | None, devices: int
) -> Callable[[TrainerConfig], TrainerConfig]:
    """How trials are laid out: as given, or as they fit."""
    asked = spec.resources
    if asked == "given":
        return lambda config: config
    own = asked if isinstance(asked, ResourcesSpec) else ResourcesSpec()
    memory = own.gib or gib
    if memory is None:
        return lambda config: config
    return Layouts(device=device.name, gib=memory, max_workers=own.at_most or devices)


def with_finished(plan: SweepPlan, finished: Collection[str]) -> SweepPlan:
    """The plan once it is known which of its identities were trained already, priced anew."""

    def known(trial: PlannedTrial) -> PlannedTrial:
        return replace(trial, finished=trial.finished or trial.identity in finished)

    trials = tuple(map(known, plan.trials))
    later = tuple(replace(each, trial=known(each.trial)) for each in plan.later)
    left = [trial for trial in trials if not trial.finished]
    estimate = _priced(plan.spec, left, plan.estimate.market)
    return replace(plan, trials=trials, later=later, estimate=estimate)


def _priced(spec: SweepSpec, trials: Sequence[PlannedTrial], market: Market) -> PriceEstimate:
    arms = {trial.arm for trial in trials}
    least = least_share(len(arms), spec.scheduler, with_baseline=BASELINE in arms)
    prices = [TrialPrice(seconds=trial.seconds, workers=trial.workers) for trial in trials]
    return price_trials(prices, market=market, least_share=least)


def _trials(spec: SweepSpec, arms: Sequence[Arm], model: CostModel) -> tuple[PlannedTrial, ...]:
    first = spec.replicates.first_seed
    running_order = [(arm, model.seconds(arm.config)) for arm in sorted(arms, key=_longest_first)]
    return tuple(
        _trial(model, arm, seed, expected)
        for seed in range(first, first + spec.replicates.seeds)
        for arm, expected in running_order
    )


def _longest_first(arm: Arm) -> float:
    """A long trial begun last would leave the other devices idle at the end.

    By arithmetic alone: what was measured in the meantime must not change the order of a resume.
    """
    return -arithmetic_seconds(arm.config, CPU_CORE, workers=arm.config.machine.workers)


def _trial(model: CostModel, arm: Arm, seed: int, expected: Interval | None = None) -> PlannedTrial:
    return PlannedTrial(
        identity=_identity(arm, seed),
        arm=arm.name,
        seed=seed,
        config=_with_seed(arm.config, seed),
        workers=arm.config.machine.devices,
        seconds=expected or model.seconds(arm.config),
        pending=arm.pending,
    )


def _identity(arm: Arm, seed: int) -> str:
    identity = identity_with_seed(*arm.text, seed)
    return f"{PENDING_PREFIX}{identity}"[:_IDENTITY_DIGITS] if arm.pending else identity


def _with_seed(config: TrainerConfig, seed: int) -> TrainerConfig:
    # `model_copy` does not validate; the range of seeds was checked with the spec.
    return config if config.seed == seed else config.model_copy(update={"seed": seed})


def _refuse_too_many(spec: SweepSpec, arms: int) -> None:
    trials = arms * spec.replicates.seeds
    if trials > MAX_TRIALS:
        message = (
            f"{arms:,} arms with {spec.replicates.seeds:,} seeds are {trials:,} trials, at most "
            f"{MAX_TRIALS:,} can be planned; drop seeds, levels or axes"
        )
        raise SpecError(f"sweep {spec.name}", [Problem("replicates.seeds", message)])


def _least_difference(resolved: ResolvedSweep) -> float:
    """By how much one item moves the objective, where it is a share of items."""
    objective = resolved.spec.objective
    benchmark = resolved.baseline.evaluation.benchmarks.get(objective.benchmark)
    counted = objective.metric.startswith("accuracy") or objective.metric == "ties"
    return 1.0 / benchmark.expected_items if counted and benchmark is not None else 0.0


def _sweep_id(resolved: ResolvedSweep) -> str:
    """Named by what is trained and asked; not by its words, budget, devices or places."""
    spec = resolved.spec
    asked = {
        "baseline": resolved.baseline.model_dump(mode="json", exclude={"machine", "seed"}),
        "axes": [
            {
                "name": axis.name,
                "levels": [{"name": level.name, "patch": level.patch} for level in axis.levels],
                "domain": None if axis.domain is None else str(axis.domain),
                "when": None if axis.condition is None else str(axis.condition),
            }
            for axis in resolved.axes
        ],
        "rules": [str(rule) for rule in resolved.rules],
        "design": spec.design.model_dump(mode="json"),
        "replicates": spec.replicates.model_dump(mode="json"),
        "objective": spec.objective.model_dump(mode="json"),
        "scheduler": spec.scheduler.model_dump(mode="json"),
    }
    return f"{spec.name}-{digest(asked)[:8]}"
