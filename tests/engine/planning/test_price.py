"""Prices: the cost model's order of things, its corrections, and makespans."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engine.planning.cost_model import (
    CPU_CORE,
    H100,
    UNPROVEN,
    CostModel,
    Interval,
    MeasuredTrial,
    arithmetic_seconds,
)
from sweep.engine.planning.price import Market, TrialPrice, price_trials, simulated_makespan
from sweep.records.ledger import Ledger
from sweep.replay.working import SimulatedClock
from tests.engine.scenarios import run_to_the_end
from tests.engine.simulation import (
    SimulatedDriver,
    SimulatedSweep,
    distinct,
    planned,
)
from trainer.config import (
    BackboneConfig,
    DataConfig,
    MachineConfig,
    SourceConfig,
    TrainerConfig,
)
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig
from trainer.strategy_config import FreezeConfig, StrategyConfig

TINY = TrainerConfig()
LARGE = TrainerConfig(
    backbone=BackboneConfig(family="qwen2-vl", scale="7b"),
    strategy=StrategyConfig(batch_pairs=128, precision="bf16"),
    data=DataConfig(weights={"file": 1.0}, pairs=100_000),
    machine=MachineConfig(workers=8),
)


def seconds(config: TrainerConfig, workers: int = 1) -> float:
    return arithmetic_seconds(config, CPU_CORE, workers=workers)


def test_a_tiny_training_takes_a_minute_or_so_on_a_core() -> None:
    assert 10 < seconds(TINY) < 300


def test_the_papers_largest_training_takes_hours_on_eight_gpus() -> None:
    # The paper's mix is some 2.8 million pairs; this is 100 thousand.
    hours = arithmetic_seconds(LARGE, H100, workers=8) / 3600

    assert 0.5 < hours < 20


@pytest.mark.parametrize(
    "dearer",
    [
        TINY.model_copy(update={"data": DataConfig(pairs=8192)}),
        TINY.model_copy(update={"paradigm": "critic"}),
        TINY.model_copy(update={"paradigm": "generative"}),
        TINY.model_copy(update={"strategy": StrategyConfig(epochs=2)}),
        TINY.model_copy(update={"strategy": StrategyConfig(freeze=FreezeConfig(vision=False))}),
        TINY.model_copy(update={"machine": MachineConfig(gradient_checkpointing=True)}),
    ],
    ids=["pairs", "critic", "generative", "epochs", "vision", "recomputing"],
)
def test_more_work_takes_longer(dearer: TrainerConfig) -> None:
    assert seconds(dearer) > seconds(TINY)


def scored_on(*, twin: bool, **parts: int) -> TrainerConfig:
    benchmark = BenchmarkConfig(split="test", parts=dict(parts), text_twin=twin)
    return TINY.model_copy(update={"evaluation": EvaluationConfig(benchmarks={"b": benchmark})})


def test_a_text_only_twin_costs_what_its_items_with_images_cost() -> None:
    """And no more: items without images keep the scores they have."""
    mixed = {"scenes": 3000, "text": 1000}
    beyond = seconds(scored_on(twin=True, **mixed)) - seconds(scored_on(twin=False, **mixed))
    images = seconds(scored_on(twin=False, scenes=6000)) - seconds(
        scored_on(twin=False, scenes=3000)
    )

    assert beyond == pytest.approx(images)
    assert seconds(scored_on(twin=True, text=900)) == seconds(scored_on(twin=False, text=900))


def published(kind: str, *, twin: bool) -> float:
    source = SourceConfig(kind=kind, settings={"path": "rows.jsonl"})
    suite = scored_on(twin=twin, suite=2000)
    return seconds(suite.model_copy(update={"data": DataConfig(sources={"suite": source})}))


def test_a_published_set_of_texts_is_priced_without_images_and_without_a_twin() -> None:
    texts, images = "rewardbench-2", "vl-rewardbench"

    assert published(texts, twin=True) == published(texts, twin=False)
    assert published(texts, twin=False) < published(images, twin=False)
    assert published(images, twin=False) < published(images, twin=True)


def test_what_is_scored_is_priced_by_its_own_sources() -> None:
    images, texts = scored_on(twin=False, scenes=3000), scored_on(twin=False, text=3000)

    assert seconds(images) > seconds(texts)


def test_a_smaller_backbone_and_more_workers_take_less() -> None:
    small = TINY.model_copy(update={"backbone": BackboneConfig(scale="xs")})

    assert seconds(small) < seconds(TINY)
    assert seconds(TINY, workers=2) < seconds(TINY)
    assert 2 * seconds(TINY, workers=2) > seconds(TINY)


def test_an_unmeasured_estimate_admits_that_it_may_be_far_off() -> None:
    estimate = CostModel(CPU_CORE).seconds(TINY)

    assert (estimate.high / estimate.mid, estimate.mid / estimate.low) == (UNPROVEN, UNPROVEN)


def test_the_nearest_measured_trials_decide() -> None:
    critic = TINY.model_copy(update={"paradigm": "critic"})
    history = [
        *[MeasuredTrial(config=TINY, seconds=3 * seconds(TINY))] * 3,
        *[MeasuredTrial(config=critic, seconds=5 * seconds(critic))] * 3,
    ]
    model = CostModel(CPU_CORE, history)
    other = TINY.model_copy(update={"backbone": BackboneConfig(scale="xs")})

    assert model.seconds(TINY).mid == pytest.approx(3 * seconds(TINY))
    assert model.seconds(critic).mid == pytest.approx(5 * seconds(critic))
    # Of another backbone, the trials of the same paradigm say most, with more doubt.
    assert model.seconds(other).mid == pytest.approx(3 * seconds(other))
    assert model.seconds(other).high / model.seconds(other).mid == 2.0


def test_trials_that_disagree_widen_the_interval() -> None:
    history = [
        MeasuredTrial(config=TINY, seconds=factor * seconds(TINY)) for factor in (0.5, 1.0, 2.0)
    ]

    estimate = CostModel(CPU_CORE, history).seconds(TINY)

    assert estimate.mid == pytest.approx(seconds(TINY))
    assert estimate.high / estimate.mid > 3.0


def test_a_price_adds_up_devices_money_and_time() -> None:
    trials = [TrialPrice(seconds=Interval(1800, 3600, 7200), workers=2)] * 3
    market = Market(device="h100", devices=4, usd_per_device_hour=2.5, calibrated_on=0)

    price = price_trials(trials, market=market)

    assert price.device_hours == Interval(3, 6, 12)
    assert price.usd == Interval(7.5, 15, 30)
    assert price.makespan_hours == Interval(1, 2, 4)


def test_a_gang_larger_than_the_cluster_has_no_makespan() -> None:
    assert simulated_makespan([(1.0, 1), (1.0, 3)], devices=2) is None


def test_nothing_to_do_takes_no_time() -> None:
    assert simulated_makespan([], devices=2) == 0.0


def test_small_gangs_fill_what_a_large_one_waits_for() -> None:
    # 4 s on one device; the pair waits for both; the single goes ahead of it.
    assert simulated_makespan([(4.0, 1), (2.0, 2), (4.0, 1)], devices=2) == 6.0


@given(
    trials=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 4)), max_size=30),
    devices=st.integers(4, 9),
)
def test_a_makespan_is_neither_shorter_than_the_work_nor_longer_than_one_by_one(
    trials: list[tuple[int, int]], devices: int
) -> None:
    makespan = simulated_makespan(trials, devices=devices)

    assert makespan is not None
    longest = max((length for length, _ in trials), default=0)
    work = sum(length * workers for length, workers in trials)
    assert max(longest, work / devices) <= makespan <= sum(length for length, _ in trials)


@pytest.mark.parametrize("case", range(8))
def test_the_makespan_is_that_of_the_scheduler_itself(
    ledger: Ledger, clock: SimulatedClock, case: int
) -> None:
    draw = random.Random(case)
    devices = draw.randint(2, 4)
    # Every other case has trials that share a device, three on one or seven.
    sizes = [*range(1, devices + 1), *([1 / 3, 1 / 7, 1 / 7] if case % 2 else [])]
    trials = [
        planned(distinct("trial"), seconds=float(draw.randint(1, 6)), workers=draw.choice(sizes))
        for _ in range(draw.randint(3, 16))
    ]
    driver = SimulatedDriver(SimulatedSweep(ledger, clock, trials, capacity=devices))
    began = clock.now

    run_to_the_end(driver, seconds=1.0)

    expected = simulated_makespan(
        [(trial.seconds.mid, trial.workers) for trial in trials], devices=devices
    )
    assert clock.now - began == expected
