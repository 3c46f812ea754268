"""Sweeps that were never trained but are recorded as if: a real ledger, store and score tables.

Scores follow a simple truth: a pair comes out right when the arm's ability plus the seed's luck
exceeds the pair's difficulty. What is planted can be looked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from infra.object_store import LocalStore
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import ArmRow, Attempt, Holder, TrialRow
from sweep.replay.working import SimulatedClock
from sweep.spec.axis_spec import AxisSpec
from sweep.spec.replicates_spec import ReplicatesSpec
from sweep.spec.sweep_spec import BudgetSpec, SweepSpec
from tests.engine.simulation import open_ledger
from trainer.config import DataConfig, TrainerConfig
from trainer.evaluation.metrics import benchmark_metrics
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig
from trainer.identity import digest
from trainer.record import model_page_key
from trainer.reporting import TrialOutcome, TrialReport
from trainer.scores import SCORE_SCHEMA, score_key, write_scores

CATEGORIES = ("count", "colour", "shape", "where")
START, MINUTE = 1_750_000_000.0, 60.0


@dataclass(frozen=True, kw_only=True)
class MadeArm:
    """An arm and the truth about it."""

    name: str
    point: Mapping[str, str]
    ability: float = 1.0
    """In units of the pairs' difficulty; 1.0 is about 80 % right."""
    weak_at: Mapping[str, float] = field(default_factory=dict)
    """What is taken from the ability in a category."""
    ends: Mapping[int, TrialState] = field(default_factory=dict)
    """How a seed's trial ends when it does not succeed; `pending` is never started."""
    scale: float = 1.0
    """Unit of its scores; models are free to choose theirs."""
    trained_on: Mapping[str, float] = field(default_factory=dict)
    """Weights of its sources; the default ones when empty."""
    reported: Mapping[str, float] = field(default_factory=dict)
    """Metrics of every seed beside those of its score tables."""


@dataclass(frozen=True, kw_only=True)
class MadeSweep:
    """What is needed to look at a made sweep."""

    ledger: Ledger
    store: LocalStore
    sweep_id: str
    home: Path


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to make."""

    name: str = "reward-head"
    question: str = "Does a deeper, non-linear reward head help?"
    arms: Sequence[MadeArm] = ()
    axes: Mapping[str, AxisSpec] = field(default_factory=dict)
    seeds: int = 3
    seed_noise: float = 0.05
    own_noise: float = 0.35
    """What is each model's own on a pair; averaging models takes it away."""
    items: int = 400
    per_group: int = 2
    label_margins: bool = False
    """Whether labels say by how much: 1, 2 or 3."""
    text_groups: int = 0
    """Groups without an image, of the source `text`; all others are of `scenes`."""
    leaked_groups: int = 0
    """Test groups that are validation groups too."""
    benchmarks: Mapping[str, BenchmarkConfig] = field(
        default_factory=lambda: {
            "validation": BenchmarkConfig(split="validation", parts={"scenes": 400}),
            "test": BenchmarkConfig(split="test", parts={"scenes": 400}, text_twin=False),
            "test-blind": BenchmarkConfig(split="test", parts={"scenes": 400}, shuffle_images=True),
        }
    )
    reported_at: Sequence[float] = (0.4, 1.0)
    """Fractions of a training at which its trials report."""
    finish: SweepState | None = SweepState.SUCCEEDED
    usd_per_gpu_hour: float | None = 2.5
    seed: int = 0


def one_axis(
    abilities: Mapping[str, float], *, axis: str = "head", reference: str | None = None
) -> list[MadeArm]:
    """Arms along one axis; the first level is the baseline's."""
    base = reference or next(iter(abilities))
    return [
        MadeArm(
            name="baseline" if level == base else f"{axis}={level}",
            point={axis: level},
            ability=ability,
        )
        for level, ability in abilities.items()
    ]


def make_sweep(home: Path, recipe: Recipe, *, ledger: Ledger | None = None) -> MadeSweep:
    """Record a sweep as the engine and the trainer would have."""
    home.mkdir(parents=True, exist_ok=True)
    clock = SimulatedClock(START)
    ledger = ledger or open_ledger(home, clock)
    store = LocalStore(home / "store")
    spec = SweepSpec(
        name=recipe.name,
        question=recipe.question,
        baseline="basereward-tiny",
        axes=dict(recipe.axes),
        replicates=ReplicatesSpec(seeds=recipe.seeds),
        budget=BudgetSpec(usd_per_gpu_hour=recipe.usd_per_gpu_hour),
    ).model_dump(mode="json")
    sweep_id = f"{recipe.name}-{digest(spec)[:8]}"
    rows = [_trial_row(recipe, arm, seed) for seed in range(recipe.seeds) for arm in recipe.arms]
    ledger.register_sweep(
        sweep_id,
        recipe.name,
        spec,
        arms=[_arm_row(arm) for arm in recipe.arms],
        trials=rows,
        tracking_uri="sqlite:///mlflow.db",
        storage=store.uri,
        created=START,
    )
    holder = Holder(driver=f"driver-of-{recipe.name}", pid=1, host="cluster")
    ledger.acquire_sweep(sweep_id, holder, 10 * MINUTE)
    ledger.set_sweep_state(sweep_id, SweepState.RUNNING)
    by_name = {arm.name: arm for arm in recipe.arms}
    for row in rows:
        if by_name[row.arm].ends.get(row.seed) is TrialState.PENDING:
            continue
        attempt = ledger.claim(row.identity, sweep_id, holder, 10 * MINUTE)
        if attempt is not None:
            _execute(ledger, store, recipe, by_name[row.arm], attempt, clock)
    if recipe.finish is not None:
        ledger.set_sweep_state(sweep_id, recipe.finish)
        ledger.release_sweep(sweep_id, holder)
    return MadeSweep(ledger=ledger, store=store, sweep_id=sweep_id, home=home)


def score_rows(
    *,
    benchmark: str,
    definition: BenchmarkConfig,
    arm: MadeArm,
    luck: float,
    rng: np.random.Generator,
    recipe: Recipe,
) -> pa.Table:
    """A score table in the true format; difficulties are the same for every model."""
    items = recipe.items
    world = np.random.default_rng([recipe.seed, 0 if definition.split == "validation" else 1])
    groups = np.arange(items) // recipe.per_group
    difficulty = world.normal(size=items) + 0.5 * world.normal(size=groups[-1] + 1)[groups]
    chosen_first = world.random(items) < 0.5
    category = np.array(CATEGORIES)[groups % len(CATEGORIES)]
    weak = np.array([arm.weak_at.get(name, 0.0) for name in category])
    ability = arm.ability + luck - weak
    if definition.shuffle_images:
        ability = 0.15 + 0.1 * ability  # the text alone tells a little
    margin = ability - difficulty + recipe.own_noise * rng.normal(size=items)
    level = rng.normal(size=items)
    response = np.tile([0, 1], items)
    best = np.repeat(np.where(chosen_first, 0, 1), 2)
    is_chosen = response == best
    score = np.repeat(level, 2) + np.where(is_chosen, 0.5, -0.5) * np.repeat(margin, 2)
    count = 2 * items
    texts = groups < recipe.text_groups
    origin = np.where(groups < recipe.leaked_groups, "validation", definition.split)
    named = [f"{split}-scene-{group:05d}" for split, group in zip(origin, groups, strict=True)]
    return pa.Table.from_pydict(
        {
            "benchmark": [benchmark] * count,
            "split": [definition.split] * count,
            "item_id": np.repeat([f"{definition.split}-{i:05d}" for i in range(items)], 2),
            "group_id": np.repeat(named, 2),
            "category": np.repeat(category, 2),
            "source": np.repeat(np.where(texts, "text", "scenes"), 2),
            "modality": np.repeat(np.where(texts, "text", "image"), 2),
            "response": response,
            "rank": np.where(is_chosen, 1, 2),
            "score": arm.scale * score + 3.0 * (arm.scale - 1.0),
            "order": np.zeros(count),
            "parsed": np.ones(count, bool),
            "margin": np.repeat(1.0 + groups % 3, 2) if recipe.label_margins else [None] * count,
            "label_weight": np.ones(count),
            "prompt_tokens": np.full(count, 24),
            "response_tokens": np.full(count, 6),
            "response_characters": np.repeat(world.integers(10, 40, items), 2) + response,
        },
        schema=SCORE_SCHEMA,
    )


def _arm_row(arm: MadeArm) -> ArmRow:
    axis, _, level = arm.name.partition("=") if "," not in arm.name else ("", "", "")
    return ArmRow(name=arm.name, axis=axis if level else None, level=level or None, point=arm.point)


def _trial_row(recipe: Recipe, arm: MadeArm, seed: int) -> TrialRow:
    config = TrainerConfig(
        seed=seed,
        data=DataConfig(weights=dict(arm.trained_on)) if arm.trained_on else DataConfig(),
        evaluation=EvaluationConfig(benchmarks=dict(recipe.benchmarks)),
    ).model_dump(mode="json")
    identity = digest({"name": recipe.name, "point": dict(arm.point), "seed": seed})
    return TrialRow(identity=identity, arm=arm.name, seed=seed, config_json=config)


def _execute(
    ledger: Ledger,
    store: LocalStore,
    recipe: Recipe,
    arm: MadeArm,
    attempt: Attempt,
    clock: SimulatedClock,
) -> None:
    rng = np.random.default_rng([recipe.seed, attempt.seed, sum(map(ord, arm.name))])
    luck = recipe.seed_noise * float(rng.normal())
    end = arm.ends.get(attempt.seed, TrialState.SUCCEEDED)
    last = 1.0 if end is TrialState.SUCCEEDED else 0.4
    for fraction in recipe.reported_at:
        if fraction > last:
            break
        clock.now += MINUTE
        learnt = 1 - np.exp(-4 * fraction)
        metrics = {
            "train/loss": float(0.69 - 0.35 * learnt + 0.01 * rng.normal()),
            "train/pairs_per_second": 310.0,
            "eval/validation/accuracy": float(0.5 + 0.3 * (arm.ability + luck) * learnt),
        }
        ledger.record_report(
            attempt.attempt_id,
            TrialReport(
                step=int(640 * fraction),
                fraction=fraction,
                seconds=300 * fraction,
                metrics=metrics,
            ),
        )
    if end is TrialState.RUNNING:
        return
    if end is TrialState.FAILED:
        ledger.finish_attempt(
            attempt.attempt_id,
            end,
            error_kind="out_of_memory",
            error_message="rank 0: <CUDA out of memory> while allocating 2.00 GiB",
        )
        return
    metrics = {}
    if end is TrialState.SUCCEEDED:
        for name, definition in recipe.benchmarks.items():
            table = score_rows(
                benchmark=name,
                definition=definition,
                arm=arm,
                luck=luck,
                rng=rng,
                recipe=recipe,
            )
            path = store.root / score_key(attempt.identity, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(write_scores(table))
            store.write(model_page_key(attempt.identity), b"{}")
            metrics |= {
                f"eval/{name}/{key}": value for key, value in benchmark_metrics(table).items()
            }
        metrics |= arm.reported
    ledger.finish_attempt(attempt.attempt_id, end, outcome=_outcome(end, metrics, attempt))


def _outcome(end: TrialState, metrics: dict[str, float], attempt: Attempt) -> TrialOutcome:
    done = end is TrialState.SUCCEEDED
    return TrialOutcome(
        finished=done,
        step=640 if done else 256,
        fraction=1.0 if done else 0.4,
        seconds=300.0 if done else 120.0,
        metrics=metrics,
        model_digest=digest({"model": attempt.identity}) if done else None,
    )
