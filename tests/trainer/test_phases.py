"""Phases: they share out the steps, and each has a schedule and an order of its own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.errors import DataError
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.data.mixture import training_items
from trainer.phases import is_ever_free, phase_of_step, training_phases
from trainer.training.data_order import DataOrder, PhasedOrder, training_order

HEAD_FIRST: list[dict[str, Any]] = [
    {"share": 0.25, "learning_rate": 1e-2, "freeze": {"language_model": True}},
    {"share": 0.75},
]


def config_of(phases: list[dict[str, Any]], **strategy: Any) -> TrainerConfig:  # noqa: ANN401
    return TrainerConfig.model_validate(
        {
            "strategy": {"phases": phases, "batch_pairs": 8, **strategy},
            "data": {"pairs": 320, "weights": {"scenes": 1.0, "text": 1.0}},
        }
    )


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(min_value=40, max_value=300)
)
def test_every_step_has_one_phase(parts: list[int], steps: int) -> None:
    shares = [part / sum(parts) for part in parts]

    phases = training_phases(
        config_of([{"share": share} for share in shares], steps=max(steps, 120))
    )

    assert phases[0].first == 0
    assert phases[-1].last == max(steps, 120)
    assert all(before.last == after.first for before, after in pairwise(phases))
    for phase in phases:
        assert phase_of_step(phases, phase.first) == phase == phase_of_step(phases, phase.last - 1)


def test_a_training_without_phases_is_one() -> None:
    config = config_of([], learning_rate=3e-4)

    (phase,) = training_phases(config)

    assert (phase.first, phase.last, phase.learning_rate) == (0, 40, 3e-4)
    assert phase.freeze == config.strategy.freeze


def test_each_phase_warms_up_and_falls_on_its_own() -> None:
    config = config_of(HEAD_FIRST, learning_rate=1e-3, warmup=0.0, schedule="linear")
    first, second = training_phases(config)

    rates = [phase_of_step((first, second), step).rate(step, config.strategy) for step in range(40)]

    assert rates[0] == 1e-2
    assert rates[9] == pytest.approx(1e-3)
    assert rates[10] == 1e-3
    assert rates[39] == pytest.approx(1e-3 / 30)


def test_a_part_that_any_phase_trains_is_trained() -> None:
    config = config_of([{"share": 0.5}, {"share": 0.5, "freeze": {"vision": False}}])

    assert is_ever_free(config, "vision")
    assert not is_ever_free(config_of(HEAD_FIRST), "vision")


def test_a_phase_keeps_to_its_sources_and_the_others_to_the_common_order() -> None:
    config = config_of([{"share": 0.5, "sources": ["text"]}, {"share": 0.5}])
    sources = ["scenes", "text"] * 50
    phases = training_phases(config)
    items = [
        PreferenceItem(item_id=str(i), group_id="g", prompt="p", responses=(), source=source)
        for i, source in enumerate(sources)
    ]
    order = PhasedOrder(items, phases, batch=8, seed=3)

    first = [index for step in range(20) for index in order.step(step)]

    assert {sources[index] for index in first} == {"text"}
    assert sorted(first[:50]) == list(range(1, 100, 2))
    whole = DataOrder(100, batch=8, seed=3)
    assert [order.step(step) for step in range(20, 40)] == [
        whole.step(step) for step in range(20, 40)
    ]


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        pytest.param([{"share": 0.5}], "must sum to 1, got 0.5", id="half of it"),
        pytest.param([{"share": 0}, {"share": 1}], "greater than 0", id="an empty one"),
        pytest.param(
            [{"share": 1, "sources": ["digits"]}],
            "phase 1 uses digits, but the data mix has scenes, text",
            id="a source that is not there",
        ),
        pytest.param([{"share": 1, "sources": []}], "phase 1 uses no source", id="no source"),
        pytest.param(
            [{"share": 0.999}, {"share": 0.001}],
            "phase 2 gets none of the 40 steps",
            id="too short",
        ),
    ],
)
def test_phases_that_make_no_sense_are_refused(phases: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config_of(phases)


def test_steps_replace_epochs() -> None:
    assert config_of([], steps=7).total_steps == 7
    assert config_of([], epochs=2).total_steps == 80


def test_a_part_of_an_epoch_has_the_steps_it_is_written_with() -> None:
    data, strategy = {"pairs": 6400}, {"batch_pairs": 64, "epochs": 1.1}

    assert TrainerConfig.model_validate({"data": data, "strategy": strategy}).total_steps == 110


def test_a_phase_draws_from_the_mix_and_not_from_what_is_left_out_of_it() -> None:
    mixed = {"weights": {"scenes": 1, "text": 1}, "leave_out": ["text"], "add_in": ["digits"]}
    phases: list[dict[str, Any]] = [{"share": 0.5, "sources": ["digits"]}, {"share": 0.5}]

    config = TrainerConfig.model_validate({"data": mixed, "strategy": {"phases": phases}})
    assert config.strategy.phases[0].sources == ("digits",)
    phases[0]["sources"] = ["text"]
    with pytest.raises(ValidationError, match="phase 1 uses text, but the data mix has"):
        TrainerConfig.model_validate({"data": mixed, "strategy": {"phases": phases}})


def test_a_phase_whose_sources_hold_nothing_is_named() -> None:
    phases = [{"share": 0.5, "sources": ["text"]}, {"share": 0.5}]
    data = {"weights": {"scenes": 1, "text": 1e-6}, "pairs": 32}
    strategy = {"phases": phases, "batch_pairs": 8}
    config = TrainerConfig.model_validate({"data": data, "strategy": strategy})

    with pytest.raises(DataError, match="phase 1 uses text alone, of which an epoch of 32 pairs"):
        training_order(config, training_items(config.data))
