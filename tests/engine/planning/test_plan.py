"""Plans: identities, order, names of sweeps, what is pending and what is finished."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import SpecError
from sweep.engine.planning.cost_model import MeasuredTrial
from sweep.engine.planning.plan import SweepPlan, make_plan, with_finished
from sweep.spec.resolve import resolve
from sweep.spec.sweep_spec import SweepSpec
from tests.engine.known_digests import KnownDigests
from trainer.config import TrainerConfig
from trainer.identity import TRAINER_VERSION, active_settings, digest, training_identity


def spec_of(**changes: Any) -> SweepSpec:  # noqa: ANN401 -- any field of a spec
    fields: dict[str, Any] = {
        "name": "heads",
        "axes": {"head.layers": [1, 2, 3], "scale": ["xs", "s"]},
        "replicates": {"seeds": 2, "first_seed": 5},
    }
    return SweepSpec.model_validate(fields | changes)


def plan_of(digests: KnownDigests | None = None, **changes: Any) -> SweepPlan:  # noqa: ANN401
    return make_plan(resolve(spec_of(**changes)), digests=digests or KnownDigests(), devices=2)


def test_every_arm_is_trained_with_one_seed_before_any_gets_the_next() -> None:
    plan = plan_of()

    assert [(trial.arm, trial.seed) for trial in plan.trials] == [
        (arm, seed)
        for seed in (5, 6)
        for arm in ("baseline", "head.layers=1", "head.layers=3", "scale=xs")
    ]
    assert all(trial.config.seed == trial.seed for trial in plan.trials)


def test_the_longest_trials_are_begun_first_whatever_was_measured_meanwhile() -> None:
    levels = {"batch": {"levels": {"half": {"data.pairs": 512}, "twice": {"data.pairs": 8192}}}}
    plan = plan_of(set={"data.pairs": 2048}, axes=levels | {"head.layers": [1, 2]})
    slow = MeasuredTrial(config=plan.trials[-1].config, seconds=10_000.0)

    again = make_plan(resolve(plan.spec), digests=KnownDigests(), devices=2, history=[slow])

    first_round = [trial.arm for trial in plan.trials if trial.seed == 5]
    assert first_round == [trial.arm for trial in again.trials if trial.seed == 5]
    assert first_round[0] == "batch=twice"
    assert first_round[-1] == "batch=half"


@settings(max_examples=25, deadline=None)
@given(
    layers=st.sets(st.integers(1, 5), min_size=2, max_size=3),
    rate=st.floats(1e-6, 1.0),
    seeds=st.integers(1, 3),
)
def test_a_planned_identity_is_the_trainers_own(layers: set[int], rate: float, seeds: int) -> None:
    plan = plan_of(
        set={"strategy.learning_rate": rate},
        axes={"paradigm": ["scalar", "critic", "generative"], "head.layers": sorted(layers)},
        design={"kind": "grid"},
        replicates={"seeds": seeds},
    )

    known = KnownDigests()
    identities = [
        training_identity(
            trial.config,
            data_digests=known.data(trial.config.data) or {},
            backbone_digest=known.backbone(trial.config.backbone) or "",
        )
        for trial in plan.trials
    ]
    assert [trial.identity for trial in plan.trials] == identities
    assert len(set(identities)) == len(identities)


def test_the_trainers_identity_is_the_digest_of_what_is_trained() -> None:
    config = TrainerConfig(seed=7)

    identity = training_identity(config, data_digests={"b": "1", "a": "é"}, backbone_digest="x")

    settings = active_settings(config)
    del settings["backbone"], settings["data"]["sources"]  # their content has digests
    assert identity == digest(
        {
            "trainer": TRAINER_VERSION,
            "settings": settings,
            "data": {"a": "é", "b": "1"},
            "backbone": "x",
        }
    )


def test_the_same_content_at_another_place_is_the_same_training() -> None:
    def config(folder: str) -> TrainerConfig:
        source = {"kind": "file", "settings": {"path": f"{folder}/pairs.jsonl"}}
        return TrainerConfig.model_validate(
            {
                "data": {"weights": {"mine": 1}, "sources": {"mine": source}},
                "backbone": {"path": f"{folder}/model"},
            }
        )

    here, there = (
        training_identity(config(folder), data_digests={"mine": "1"}, backbone_digest="x")
        for folder in ("here", "there")
    )

    assert here == there


def test_digests_are_asked_for_once_per_data_and_backbone() -> None:
    digests = KnownDigests()

    plan_of(digests, replicates={"seeds": 9})

    assert digests.asked == 3  # one data mix, two scales


def test_a_missing_digest_makes_only_the_trials_that_need_it_pending() -> None:
    plan = plan_of(KnownDigests(unknown=("xs",)))

    assert plan.pending
    pending = [trial for trial in plan.trials if trial.pending]
    assert {trial.arm for trial in pending} == {"scale=xs"}
    assert all(trial.identity.startswith("pending-") for trial in pending)
    assert len({trial.identity for trial in pending}) == 2
    assert all(len(trial.identity) == 64 for trial in plan.trials)
    assert not plan_of().pending


@pytest.mark.parametrize(
    "change",
    [
        {"budget": {"gpu_hours": 3}},
        {"tracking": {"uri": "http://elsewhere"}},
        {"storage": "file:elsewhere"},
        {"question": "Why?"},
        {"set": {"machine.threads": 2}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_sweep_keeps_its_id_whatever_it_may_spend_and_wherever_it_runs(
    change: dict[str, Any],
) -> None:
    assert plan_of(**change).sweep_id == plan_of().sweep_id


@pytest.mark.parametrize(
    "change",
    [
        {"axes": {"head.layers": [1, 2, 3]}},
        {"design": {"kind": "grid"}},
        {"replicates": {"seeds": 3, "first_seed": 5}},
        {"set": {"strategy.learning_rate": 0.5}},
        {"objective": {"metric": "ties", "mode": "min"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_question_is_another_sweep(change: dict[str, Any]) -> None:
    changed = plan_of(**change).sweep_id

    assert changed != plan_of().sweep_id
    assert changed.startswith("heads-")
    assert len(changed) == len("heads-") + 8


def test_what_is_finished_costs_nothing_more() -> None:
    plan = plan_of(budget={"usd_per_gpu_hour": 2.0})
    half = [trial.identity for trial in plan.trials[:4]]

    left = with_finished(plan, half)

    assert [trial.finished for trial in left.trials] == [True] * 4 + [False] * 4
    assert left.estimate.trials == 4
    assert left.estimate.device_hours.mid == pytest.approx(plan.estimate.device_hours.mid / 2)
    assert left.estimate.usd is not None
    assert left.estimate.usd.mid == pytest.approx(2 * left.estimate.device_hours.mid)


def test_measured_trials_correct_the_price() -> None:
    resolved = resolve(spec_of())
    arithmetic = make_plan(resolved, digests=KnownDigests())
    history = [
        MeasuredTrial(config=trial.config, seconds=trial.seconds.mid * 2)
        for trial in arithmetic.trials
    ]

    measured = make_plan(resolved, digests=KnownDigests(), history=history)

    assert measured.estimate.device_hours.mid == pytest.approx(
        2 * arithmetic.estimate.device_hours.mid
    )
    assert measured.estimate.market.calibrated_on == len(history)
    before, after = arithmetic.estimate.device_hours, measured.estimate.device_hours
    assert after.high / after.mid < before.high / before.mid


def test_more_trials_than_can_be_planned_are_refused() -> None:
    with pytest.raises(SpecError, match="4 arms with 50,000 seeds are 200,000 trials"):
        plan_of(replicates={"seeds": 50_000})


def test_the_same_sweep_is_planned_the_same_twice() -> None:
    assert plan_of() == plan_of()
